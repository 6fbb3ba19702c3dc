"""What a running pass tells whoever watches, and how it ended. The pass draws nothing itself."""

from __future__ import annotations

from typing import Protocol

from shipyard.base.record import Struct
from shipyard.model.event import Event
from shipyard.model.plan import Action, Blocked, Notice, Outcome, Plan, Waiting


class Ending(Struct, frozen=True):
    """What a run of passes came to. `pending`: actions still wished for (with `--check`: those not run).

    `changed`, `failed`: outcomes over all passes; what failed and was done later is converged all the same.
    `unreachable`: nodes without a connection in the last pass, sorted. `timed_out`: the time limit ended first, or
    would before the next look, which makes sense only in so many seconds (`next_look`).
    """

    converged: bool
    passes: int = 0
    changed: int = 0
    failed: int = 0
    pending: int = 0
    blocked: tuple[Blocked, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    unreachable: tuple[str, ...] = ()
    timed_out: bool = False
    next_look: float | None = None

    def exit_code(self, *, check: bool = False) -> int:
        """0 converged, 2 not (10 with `check`: changes are pending), and 4 more when nodes were unreachable."""
        unreachable = 4 if self.unreachable else 0
        if check:
            return (10 if self.pending else 0 if self.converged else 2) + unreachable
        return (0 if self.converged else 2) + unreachable


class Progress(Protocol):
    """Called from the thread that runs the pass, in order. No method may raise for reasons of display."""

    def on_pass(self, number: int) -> None:
        """A pass begins; `number` counts from 1 within this run."""
        ...

    def on_plan(self, plan: Plan) -> None:
        """What this pass is going to do."""
        ...

    def on_start(self, actions: tuple[Action, ...]) -> None:
        """These actions (a wave) are on their way to their nodes."""
        ...

    def on_outcome(self, outcome: Outcome) -> None:
        """What became of one action."""
        ...

    def on_event(self, event: Event) -> None:
        """Something happened beside the actions: an outage began or ended, a replica was found dead."""
        ...

    def on_blocked(self, event: Event) -> None:
        """Something became blocked, or no longer is. What still is at the end stands in the ending, too."""
        ...

    def on_notice(self, notice: Notice) -> None:
        """Something to know before it begins: a privileged container, an image that differs from node to node."""
        ...

    def on_wait(self, waiting: tuple[Waiting, ...], seconds: float) -> None:
        """Nothing to do for this many seconds, for these reasons."""
        ...

    def done(self, ending: Ending) -> None:
        """The run is over."""
        ...


class Unwatched:
    """Nobody looks: a Progress that keeps silent."""

    def on_pass(self, number: int) -> None: ...

    def on_plan(self, plan: Plan) -> None: ...

    def on_start(self, actions: tuple[Action, ...]) -> None: ...

    def on_outcome(self, outcome: Outcome) -> None: ...

    def on_event(self, event: Event) -> None: ...

    def on_blocked(self, event: Event) -> None: ...

    def on_notice(self, notice: Notice) -> None: ...

    def on_wait(self, waiting: tuple[Waiting, ...], seconds: float) -> None: ...

    def done(self, ending: Ending) -> None: ...
