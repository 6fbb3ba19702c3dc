"""A fake of the layer below the command line: it hands out what a test put in, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from shipyard.base.errors import NodeError, ShipyardError, UsageError
from shipyard.model.event import Event
from shipyard.model.inventory import Inventory
from shipyard.model.job import JobRun
from shipyard.model.outlook import Outlook
from shipyard.model.plan import Outcome, Plan, Status
from shipyard.model.progress import Ending, Progress
from shipyard.model.request import HostKey, NodeCheck
from shipyard.model.situation import Situation
from shipyard.model.spec import Revision, StackSpec
from shipyard.model.status import PassSummary
from shipyard.planner.rebalance import Move
from shipyard.reconcile.rebalancing import Proposal
from shipyard.store.records import EventRow, RevisionRow
from tests.unit.cli import cli_samples as samples


@dataclass
class FakeOpening:
    """`asked`: what it was begun with."""

    asked: dict[str, Any]
    inventory: Inventory = field(default_factory=lambda: Inventory((), ()))


@dataclass
class FakeOperations:
    """`asked`: every call with its arguments, in order. `error`: raised by every call."""

    plan_: Plan = field(default_factory=Plan)
    situation: Situation = field(default_factory=lambda: Situation("c1", samples.NOW))
    ending: Ending = field(default_factory=lambda: Ending(converged=True))
    checks: Sequence[NodeCheck] = ()
    keys: Sequence[HostKey] = ()
    silent: list[NodeError] = field(default_factory=list)
    under_way: bool = True
    left: Sequence[tuple[str, str]] = ()
    run: JobRun = field(default_factory=lambda: JobRun(3, "asked-1", "request", "", 1, state="succeeded"))
    outlook: Outlook = field(default_factory=lambda: Outlook((), ()))
    moves: tuple[Move, ...] = ()
    error: ShipyardError | None = None
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def begin(self, settings: Any, **more: Any) -> FakeOpening:
        """In place of `reconcile.early.begin`: nothing is read and nobody called."""
        return FakeOpening({"database": settings.database, **more})

    def open(self, settings: Any, opening: FakeOpening, **more: Any) -> FakeOperations:
        self._ask("open", {**opening.asked, **more})
        return self

    def __enter__(self) -> FakeOperations:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ask("close", None)

    def plan(self, request: Any = None) -> tuple[Situation, Plan]:
        self._ask("plan", request)
        return self.situation, self.plan_

    def apply(self, request: Any, progress: Progress) -> Ending:
        return self._run("apply", request, progress)

    def reconcile(self, request: Any, progress: Progress) -> Ending:
        return self._run("reconcile", request, progress)

    def remove(self, request: Any, progress: Progress) -> Ending:
        return self._run("remove", request, progress)

    def rollback(self, stack: str, number: int | None, timeout: float, progress: Progress) -> Ending:
        return self._run("rollback", (stack, number, timeout), progress)

    def restart(self, stack: str, service: str, timeout: float, progress: Progress) -> Ending:
        return self._run("restart", (stack, service, timeout), progress)

    def scale(self, wanted: Any, timeout: float, progress: Progress) -> Ending:
        return self._run("scale", (dict(wanted), timeout), progress)

    def resume(self, stack: str, timeout: float, progress: Progress) -> Ending:
        return self._run("resume", (stack, timeout), progress)

    def pause(self, stack: str) -> bool:
        self._ask("pause", stack)
        return self.under_way

    def run_job(self, request: Any, progress: Progress) -> tuple[Ending, JobRun]:
        return self._run("run_job", request, progress), self.run

    def last_pass(self) -> PassSummary | None:
        return PassSummary(3, samples.NOW - 5, samples.NOW - 4, "converged")

    def stacks(self) -> tuple[str, ...]:
        return ("guestbook",)

    def revision(self, stack: str, number: int | None = None) -> Revision:
        self._ask("revision", (stack, number))
        return Revision(stack, number or 2, StackSpec(stack), f"digest{number or 2}", samples.NOW, "ann@bastion")

    def history(self, stack: str) -> Sequence[RevisionRow]:
        return (RevisionRow(stack, 1, "0123456789abcdef", samples.NOW, "ann@bastion", ("site.yml",), "rolled back"),)

    def events(self, *, stack: str | None, after: int, limit: int) -> Sequence[EventRow]:
        self._ask("events", (stack, after, limit))
        event = Event(samples.NOW, "Created", "guestbook/web.1", f"made {samples.ESCAPES}\nin two lines", "node1")
        return () if after else (EventRow(7, event, samples.NOW - 60, 3),)

    def check_nodes(self, pattern: str) -> Sequence[NodeCheck]:
        self._ask("check_nodes", pattern)
        return self.checks

    def host_keys(self, pattern: str) -> tuple[Sequence[HostKey], Sequence[NodeError]]:
        self._ask("host_keys", pattern)
        return self.keys, self.silent

    def record_host_keys(self, keys: Sequence[HostKey]) -> Path:
        self._ask("record_host_keys", tuple(keys))
        return Path("/home/ann/.ssh/known_hosts")

    def known_node(self, name: str) -> None:
        if name == "nope":
            raise UsageError("nope is not a known node")

    def remove_node(self, name: str, force: bool) -> tuple[str, ...]:
        self._ask("remove_node", name)
        return ("shop/db.1",) if force else ()

    def cordon(self, pattern: str) -> tuple[str, ...]:
        self._ask("cordon", pattern)
        return ("node1", "node2")

    def activate(self, pattern: str) -> tuple[str, ...]:
        self._ask("activate", pattern)
        return ("node1",)

    def drain(self, request: Any, progress: Progress) -> Ending:
        return self._run("drain", request, progress)

    def left_on(self, pattern: str) -> Sequence[tuple[str, str]]:
        self._ask("left_on", pattern)
        return self.left

    def simulate(self, request: Any) -> Outlook:
        self._ask("simulate", request)
        return self.outlook

    def propose_rebalance(self, most: int) -> Proposal:
        self._ask("propose_rebalance", most)
        return Proposal(self.situation, self.moves[:most], len(self.moves[most:]), self.plan_)

    def rebalance(self, proposal: Proposal, progress: Progress, timeout: float) -> Ending:
        return self._run("rebalance", (proposal.moves, timeout), progress)

    def confirm_dead(self, name: str) -> None:
        self._ask("confirm_dead", name)

    def repin(self, name: str) -> None:
        self._ask("repin", name)

    def adopt_volume(self, stack: str, volume: str, node: str | None) -> Sequence[str]:
        self._ask("adopt_volume", (stack, volume, node))
        return ("node1",) if volume == "data" else ()

    def has_secrets(self) -> bool:
        return True

    def backup(self, path: Path) -> None:
        self._ask("backup", path)
        path.write_text("")

    def _run(self, what: str, request: Any, progress: Progress) -> Ending:
        self._ask(what, request)
        progress.on_pass(1)
        progress.on_plan(self.plan_)
        action = samples.action(1, "node1", "guestbook/web.1", samples.create())
        if self.ending.changed:
            progress.on_outcome(Outcome(action, Status.DONE))
        progress.done(self.ending)
        return self.ending

    def _ask(self, what: str, argument: Any) -> None:
        self.asked.append((what, argument))
        if self.error is not None:
            raise self.error

    def last(self, what: str) -> Any:
        """What this was last asked with."""
        return next(argument for name, argument in reversed(self.asked) if name == what)
