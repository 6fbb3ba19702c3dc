"""What a running pass shows: live where people look at a terminal, else a plain line for each change.

A reader that goes away (`| head`) never stops a pass: what can't be shown is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from shipyard.base.clock import now
from shipyard.cli.layout import cell, duration, heading, known, list_of, sentence
from shipyard.cli.output import Line, Output, discard
from shipyard.cli.render_plan import NOTHING, plan_json, render_plan
from shipyard.model.event import Event
from shipyard.model.plan import (
    WIRING,
    Action,
    DropFiles,
    DropRevision,
    KeepAvailability,
    KeepRevision,
    Notice,
    Outcome,
    Plan,
    PutConfig,
    PutSecret,
    Status,
    Waiting,
    verb,
)
from shipyard.model.progress import Ending, Progress, Unwatched

if TYPE_CHECKING:
    from rich.live import Live

BOOKKEEPING = (KeepRevision, DropRevision, KeepAvailability, PutConfig, PutSecret, DropFiles)
"""Steps that people need not hear of when they went well, unless they asked with -v."""
IN_FLIGHT = 12
"""Lines of what is under way that a terminal shows at once."""


@contextmanager
def watching(
    out: Output, *, cron: bool = False, diff: bool = False, check: bool = False, rounds: bool = False
) -> Iterator[Progress]:
    """The display that suits where the output goes. `diff`: show the first plan, too. `check`: show it and no more.

    `rounds`: runs follow each other for ever (`--watch`).
    """
    if check:
        yield CheckProgress(out)
        return
    if cron or not out.live:
        yield LineProgress(out, cron=cron, diff=diff, rounds=rounds)
        return
    live = LiveProgress(out, diff=diff, rounds=rounds)
    with live.display():
        yield live


def outcome_line(outcome: Outcome) -> Line:
    """`done    node1  guestbook/web.1  create-container  Missing`, and the runtime's words where it failed."""
    action = outcome.action
    what = f"{cell(action.node)}  {cell(action.target)}  {verb(action.step)}"
    match outcome.status:
        case Status.DONE:
            why = action.detail if isinstance(action.step, WIRING) else action.reason
            return (("done   ", "green"), " ", what, (f"  {cell(why)}", "dim"))
        case Status.SKIPPED:
            return (("skipped", "yellow"), " ", what, f": {sentence('', outcome.message)}" if outcome.message else "")
        case Status.FAILED | Status.UNKNOWN:
            word = "failed " if outcome.status is Status.FAILED else "unknown"
            return ((word, "bold red"), " ", f"{what}: {cell(outcome.message) or 'without a word'}")


class LineProgress:
    """A line for each change, for pipes, logs and cron. Of rounds without a change, the first alone is told."""

    def __init__(self, out: Output, *, cron: bool = False, diff: bool = False, rounds: bool = False) -> None:
        self._out, self._cron, self._diff, self._rounds = out, cron, diff, rounds
        self._told: set[tuple[str, str]] = set()
        self._blocked: list[Event] = []
        self._done = 0
        self._last: list[Line] | None = None

    def on_pass(self, number: int) -> None:
        if self._out.verbose:
            self._lines([((f"pass {number}", "bold"),)])

    def on_plan(self, plan: Plan) -> None:
        if self._diff:
            self._diff = False
            self._lines(render_plan(plan, now(), self._out.fold()))

    def on_start(self, actions: tuple[Action, ...]) -> None:
        """A line comes with the outcome."""

    def on_outcome(self, outcome: Outcome) -> None:
        done = outcome.status is Status.DONE
        bookkeeping = done and (outcome.action.routine or isinstance(outcome.action.step, BOOKKEEPING))
        if bookkeeping and not self._out.verbose:
            return
        self._done += done and not bookkeeping
        if self._out.quiet and outcome.status is Status.FAILED:
            self._safely(lambda: self._out.warn(*outcome_line(outcome)))
        else:
            self._lines([outcome_line(outcome)])

    def on_event(self, event: Event) -> None:
        style = "yellow" if event.warning else ""
        self._lines([((f"{cell(event.target)}  ", style), sentence(event.reason, event.message))])

    def on_blocked(self, event: Event) -> None:
        if self._cron:
            self._blocked.append(event)

    def on_notice(self, notice: Notice) -> None:
        target, reason, detail = known(notice)
        words = sentence(reason, detail)
        self._lines([(("note    ", "yellow"), f"{cell(target)}: {words}" if reason else words)])

    def on_wait(self, waiting: tuple[Waiting, ...], seconds: float) -> None:
        fresh = [each for each in waiting if (each.target, each.reason) not in self._told]
        self._told |= {(each.target, each.reason) for each in fresh}
        if not self._cron:
            self._lines([("waiting ", f"{cell(each.target)}: {sentence(each.reason, each.detail)}") for each in fresh])

    def done(self, ending: Ending) -> None:
        if self._out.json:
            self._safely(lambda: self._out.data(ending_json(ending)))
        done, self._done = self._done, 0
        if self._cron and not (done or ending.failed):
            for event in self._blocked:
                self.on_event(event)
            self._blocked.clear()
            return
        lines = ending_lines(ending, done, self._out.fold(), rounds=self._rounds)
        if lines != self._last or done or ending.failed:
            self._lines(lines)
        self._last = lines if self._rounds else None
        if ending.converged:
            self._told.clear()

    def _lines(self, lines: list[Line]) -> None:
        self._safely(lambda: self._out.lines(lines))

    def _safely(self, show: Callable[[], None]) -> None:
        try:
            show()
        except BrokenPipeError:
            discard(self._out.people)


class CheckProgress(Unwatched):
    """`--check`: the plan is all there is to show."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def on_plan(self, plan: Plan) -> None:
        if self._out.json:
            self._out.data(plan_json(plan))
        else:
            self._out.lines(render_plan(plan, now(), self._out.fold()))


class LiveProgress(LineProgress):
    """On a terminal: what has been done scrolls by, and beneath it stands what is under way."""

    def __init__(self, out: Output, *, diff: bool = False, rounds: bool = False) -> None:
        super().__init__(out, diff=diff, rounds=rounds)
        self._flying: dict[tuple[str, int], Action] = {}
        self._total = self._ended = self._pass = 0
        self._waiting: tuple[Waiting, ...] = ()
        self._again = 0.0
        self._between = False
        self._live: Live | None = None

    @contextmanager
    def display(self) -> Iterator[None]:
        """Draw until the block ends."""
        from rich.live import Live

        console = self._out.console(self._out.people)
        with Live(console=console, transient=True, refresh_per_second=8, get_renderable=self._draw) as live:
            self._live = live
            yield
        self._live = None

    def on_pass(self, number: int) -> None:
        super().on_pass(number)
        self._pass, self._waiting, self._between = number, (), False
        self._total = self._ended = 0
        self._flying.clear()

    def on_start(self, actions: tuple[Action, ...]) -> None:
        self._total += len(actions)
        self._flying = {(action.node, action.id): action for action in actions}

    def on_outcome(self, outcome: Outcome) -> None:
        self._ended += 1
        self._flying.pop((outcome.action.node, outcome.action.id), None)
        super().on_outcome(outcome)

    def on_wait(self, waiting: tuple[Waiting, ...], seconds: float) -> None:
        self._waiting, self._again = waiting, now() + seconds

    def done(self, ending: Ending) -> None:
        self._flying.clear()
        self._waiting = ()
        self._between = self._rounds
        if self._live is not None and not self._rounds:
            self._live.stop()
        super().done(ending)

    def _draw(self) -> Any:
        """What is under way now; called by the display's own thread, so it works on copies."""
        from rich.console import Group
        from rich.spinner import Spinner
        from rich.text import Text

        flying, waiting = list(self._flying.values()), self._waiting
        if waiting:
            title = f"waiting, {duration(self._again - now())} to the next look"
            rows = [f"  {cell(each.target)}  {sentence(each.reason, each.detail)}" for each in waiting]
        elif flying:
            title = f"pass {self._pass}: {self._ended} of {self._total} done"
            rows = [f"  {cell(each.node)}  {cell(each.target)}  {verb(each.step)}" for each in flying]
        elif self._between:
            title, rows = "watching; Ctrl-C ends it", []
        else:
            title, rows = "looking at the nodes" if self._pass else "starting", []
        if len(rows) > IN_FLIGHT:
            rows = [*rows[:IN_FLIGHT], f"  and {len(rows) - IN_FLIGHT} more"]
        lines = [Text(row, "dim", no_wrap=True, overflow="ellipsis") for row in rows]
        return Group(Spinner("dots", Text(title)), *lines)


def ending_json(ending: Ending) -> dict[str, Any]:
    """How a run ended."""
    return {
        "converged": ending.converged,
        "passes": ending.passes,
        "changed": ending.changed,
        "failed": ending.failed,
        "timed_out": ending.timed_out,
        "unreachable": list(ending.unreachable),
        "blocked": [{"target": each.target, "reason": each.reason, "detail": each.detail} for each in ending.blocked],
        "waiting": [{"target": each.target, "reason": each.reason, "detail": each.detail} for each in ending.waiting],
    }


def ending_lines(ending: Ending, done: int, fold: int | None, *, rounds: bool = False) -> list[Line]:
    """The last words of a run. `done`: how many changes were shown. `rounds`: another run follows."""
    lines: list[Line] = []
    for title, entries in (("Blocked", ending.blocked), ("Waiting", ending.waiting)):
        if entries:
            said = [(each.target, each.reason, each.detail) for each in entries]
            lines += [(), heading(title), *list_of(said, "bold", fold)]
    if lines:
        lines.append(())
    if ending.unreachable:
        lines.append((("Not reached: ", "yellow"), ", ".join(cell(name) for name in ending.unreachable)))
    return [*lines, _verdict(ending, done, rounds=rounds)]


def _verdict(ending: Ending, done: int, *, rounds: bool) -> Line:
    if ending.converged and ending.unreachable:
        did = f"{done} done, n" if done else "N"
        return ((f"{did}othing more to do where nodes answered; what runs on the others is not known.", "bold yellow"),)
    if ending.converged and not done:
        return ((NOTHING, "bold green"),)
    counts = [f"{done} done"] + ([f"{ending.failed} failed"] if ending.failed else [])
    sums = f": {', '.join(counts)} in {ending.passes} pass{'' if ending.passes == 1 else 'es'}."
    if ending.converged:
        return (("The fleet is as declared", "bold green"), sums)
    late = f" {_late(ending)}; `shipyard reconcile` takes it from here." if ending.timed_out else ""
    if rounds and ending.timed_out:
        return (("The fleet is not as declared yet", "bold yellow"), sums if done or ending.failed else ".")
    return (("The fleet is not as declared", "bold yellow"), (sums if done or ending.failed else ".") + late)


def _late(ending: Ending) -> str:
    if ending.next_look is None:
        return "The time limit ended first"
    return f"The next look, in {duration(ending.next_look)}, would come after the time limit"
