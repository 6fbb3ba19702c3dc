"""What a pass shows while it runs: lines, live, for cron; and that no reader can stop it."""

import json
import os

import pytest

from shipyard.cli.output import plain
from shipyard.cli.progress import LineProgress, LiveProgress, ending_lines, watching
from shipyard.model.event import Event
from shipyard.model.plan import Blocked, KeepRevision, Notice, Outcome, Plan, Status, Waiting
from shipyard.model.progress import Ending, Progress
from tests.unit.cli import cli_samples as samples
from tests.unit.cli import cli_screen as screen

MISSING = samples.action(1, "node1", "guestbook/web.1", samples.create())
KEPT = samples.action(2, "node1", "guestbook", KeepRevision("guestbook", 1, "d", "{}"))
BACKOFF = Waiting("guestbook/web.1", "BackOff", "tried 3 times")


def run(progress: Progress, ending: Ending) -> None:
    """A pass that makes a container, fails to make another, and hears of an outage."""
    progress.on_pass(1)
    progress.on_plan(Plan(waves=((MISSING,),)))
    progress.on_start((MISSING, KEPT))
    progress.on_outcome(Outcome(MISSING, Status.DONE))
    progress.on_outcome(Outcome(KEPT, Status.DONE))
    progress.on_outcome(Outcome(MISSING, Status.FAILED, f"port is taken {samples.ESCAPES} {samples.MARKUP}"))
    progress.on_event(samples.outage())
    progress.on_wait((BACKOFF,), 10.0)
    progress.on_wait((BACKOFF,), 10.0)
    progress.done(ending)


def test_a_line_for_each_change() -> None:
    out, stdout, _ = screen.pipe()
    run(LineProgress(out), Ending(converged=True, passes=2, changed=2, failed=1))
    assert stdout.getvalue().splitlines() == [
        "done    node1  guestbook/web.1  create-container  Missing",
        "failed  node1  guestbook/web.1  create-container: port is taken [31mred[0m 2Jtxet [red]not red[/red] "
        "[link=http://x]y[/link]",
        "node3  NodeUnreachable: no answer [31mred[0m 2Jtxet",
        "waiting guestbook/web.1: BackOff: tried 3 times",
        "The fleet is as declared: 1 done, 1 failed in 2 passes.",
    ]


def test_a_notice_is_shown_before_anything_is_done() -> None:
    out, stdout, _ = screen.pipe()
    progress = LineProgress(out)
    progress.on_notice(Notice("files", "Note", "web.yml:9: web is privileged"))
    progress.on_notice(Notice("busybox:1", "ImageDiffers", f"is not the same {samples.ESCAPES}"))
    assert stdout.getvalue().splitlines() == [
        "note    web.yml:9: web is privileged",
        "note    busybox:1: ImageDiffers: is not the same [31mred[0m 2Jtxet",
    ]


def test_what_is_left_stands_apart_from_what_was_done() -> None:
    lines = ending_lines(Ending(converged=False, blocked=(Blocked("a/b.1", "Unschedulable", "no node fits"),)), 0, None)
    assert [plain(*line) for line in lines] == [
        "",
        "Blocked",
        "  a/b.1  Unschedulable: no node fits",
        "",
        "The fleet is not as declared.",
    ]


@pytest.mark.parametrize(
    ("next_look", "words"),
    [(None, "The time limit ended first"), (42.0, "The next look, in 42 s, would come after the time limit")],
)
def test_a_time_limit_that_has_not_ended_is_not_said_to_have(next_look: float | None, words: str) -> None:
    lines = ending_lines(Ending(converged=False, timed_out=True, next_look=next_look), 0, None)
    assert plain(*lines[-1]) == f"The fleet is not as declared. {words}; `shipyard reconcile` takes it from here."


def test_cron_is_silent_when_nothing_changed() -> None:
    out, stdout, stderr = screen.pipe()
    progress = LineProgress(out, cron=True)
    progress.on_pass(1)
    progress.on_plan(samples.plan())
    progress.on_wait((BACKOFF,), 10.0)
    progress.done(Ending(converged=False, passes=1, blocked=(Blocked("a/b.1", "Unschedulable", "no node fits"),)))
    assert (stdout.getvalue(), stderr.getvalue()) == ("", "")


def test_cron_tells_what_became_blocked_and_what_no_longer_is() -> None:
    out, stdout, _ = screen.pipe()
    progress = LineProgress(out, cron=True)
    progress.on_blocked(Event(1.0, "Unschedulable", "a/b.1", "no node fits", warning=True))
    progress.on_blocked(Event(1.0, "Unblocked", "a/c.1", "no longer blocked (VolumeLost)"))
    progress.done(Ending(converged=False, passes=1, blocked=(Blocked("a/b.1", "Unschedulable", "no node fits"),)))
    assert stdout.getvalue().splitlines() == [
        "a/b.1  Unschedulable: no node fits",
        "a/c.1  Unblocked: no longer blocked (VolumeLost)",
    ]


def test_bookkeeping_alone_is_no_change() -> None:
    out, stdout, _ = screen.pipe()
    progress = LineProgress(out, cron=True)
    progress.on_outcome(Outcome(KEPT, Status.DONE))
    progress.done(Ending(converged=True, passes=1, changed=1))
    assert stdout.getvalue() == ""


def test_verbose_shows_passes_and_bookkeeping() -> None:
    out, stdout, _ = screen.pipe(verbose=True)
    progress = LineProgress(out)
    progress.on_pass(1)
    progress.on_outcome(Outcome(KEPT, Status.DONE))
    assert stdout.getvalue() == "pass 1\ndone    node1  guestbook  keep-revision  Missing\n"


def test_cron_says_what_changed_and_how_it_ended() -> None:
    out, stdout, _ = screen.pipe()
    run(LineProgress(out, cron=True), Ending(converged=True, passes=1, changed=1))
    said = stdout.getvalue()
    assert said.startswith("done    node1")
    assert "NodeUnreachable" in said
    assert "waiting" not in said
    assert said.endswith("The fleet is as declared: 1 done in 1 pass.\n")


def test_rounds_are_told_of_where_they_differ_and_each_counts_its_own() -> None:
    out, stdout, _ = screen.pipe()
    progress = LineProgress(out, rounds=True)
    at_rest = Ending(converged=True, passes=1)
    progress.done(at_rest)
    progress.done(at_rest)
    for _ in range(2):
        progress.on_outcome(Outcome(MISSING, Status.DONE))
        progress.done(Ending(converged=True, passes=2, changed=1))
    progress.on_outcome(Outcome(MISSING, Status.DONE))
    progress.done(Ending(converged=False, passes=1, changed=1, timed_out=True))
    progress.done(at_rest)
    progress.done(at_rest)
    did = "done    node1  guestbook/web.1  create-container  Missing"
    assert stdout.getvalue().splitlines() == [
        "Nothing to do: the fleet is as declared.",
        *[did, "The fleet is as declared: 1 done in 2 passes."] * 2,
        did,
        "The fleet is not as declared yet: 1 done in 1 pass.",
        "Nothing to do: the fleet is as declared.",
    ]


def test_quiet_shows_failures_alone() -> None:
    out, stdout, stderr = screen.pipe(quiet=True)
    run(LineProgress(out), Ending(converged=True, passes=1, changed=1))
    assert stdout.getvalue() == ""
    assert stderr.getvalue().startswith("warning: failed  node1  guestbook/web.1")
    assert len(stderr.getvalue().splitlines()) == 1


def test_diff_shows_the_first_plan_once() -> None:
    out, stdout, _ = screen.pipe()
    progress = LineProgress(out, diff=True)
    progress.on_plan(samples.plan())
    progress.on_plan(samples.plan())
    assert stdout.getvalue().count("To be removed") == 1


def test_json_is_the_ending() -> None:
    out, stdout, stderr = screen.pipe(json=True)
    run(LineProgress(out), Ending(converged=False, passes=1, changed=1, unreachable=("node3",), timed_out=True))
    found = json.loads(stdout.getvalue())
    assert (found["converged"], found["changed"], found["unreachable"], found["timed_out"]) == (
        False,
        1,
        ["node3"],
        True,
    )
    assert "done    node1" in stderr.getvalue()


@pytest.mark.parametrize("json_wanted", [False, True])
def test_check_shows_the_plan_alone(json_wanted: bool) -> None:
    out, stdout, stderr = screen.pipe(json=json_wanted)
    with watching(out, check=True) as progress:
        progress.on_pass(1)
        progress.on_plan(samples.plan())
        progress.done(Ending(converged=False, pending=8))
    assert stderr.getvalue() == ""
    if json_wanted:
        assert json.loads(stdout.getvalue())["changes"] == 8
    else:
        assert stdout.getvalue().endswith("1 blocked, 1 waiting.\n")


def test_a_reader_that_went_away_stops_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        out, _, stderr = screen.pipe()
        out._stdout = stream
        run(LineProgress(out), Ending(converged=True, passes=1, changed=1))
    assert stderr.getvalue() == ""


def test_a_terminal_keeps_what_was_done_and_drops_what_was_under_way() -> None:
    out, stdout = screen.terminal(100)
    with watching(out) as progress:
        assert isinstance(progress, LiveProgress)
        run(progress, Ending(converged=True, passes=1, changed=1))
    said = stdout.getvalue()
    assert "done    node1  guestbook/web.1  create-container  Missing" in said
    assert "The fleet is as declared: 1 done" in said
    assert "\x9b" not in said


def test_a_terminal_shows_what_is_under_way_and_no_more_than_fits() -> None:
    out, stdout = screen.terminal(100)
    progress = LiveProgress(out)
    many = tuple(samples.action(n, "node1", f"guestbook/web.{n}", samples.create(), "Missing") for n in range(1, 31))
    progress.on_pass(1)
    progress.on_start(many)
    out.console(stdout).print(progress._draw())
    said = stdout.getvalue()
    assert "pass 1: 0 of 30 done" in said
    assert "guestbook/web.1  create-container" in said
    assert "and 18 more" in said


@pytest.mark.parametrize(
    ("ending", "check", "code"),
    [
        (Ending(converged=True), False, 0),
        (Ending(converged=True, failed=1, changed=1), False, 0),
        (Ending(converged=False, failed=1), False, 2),
        (Ending(converged=True, unreachable=("n",)), False, 4),
        (Ending(converged=False, unreachable=("n",)), False, 6),
        (Ending(converged=True), True, 0),
        (Ending(converged=False, pending=1), True, 10),
        (Ending(converged=False, pending=1, unreachable=("n",)), True, 14),
        (Ending(converged=False, blocked=(Blocked("a", "b", "c"),)), True, 2),
    ],
)
def test_exit_codes(ending: Ending, check: bool, code: int) -> None:
    assert ending.exit_code(check=check) == code


def test_a_node_that_was_not_reached_is_never_called_as_declared() -> None:
    for done in (0, 2):
        lines = ending_lines(Ending(converged=True, passes=1, unreachable=("node2",)), done, None)
        said = "".join(part if isinstance(part, str) else part[0] for line in lines for part in line)
        assert "node2" in said
        assert "as declared" not in said
