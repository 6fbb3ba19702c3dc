"""What people can ask for, as one object: the face calls this, and it calls the passes.

What only some commands need (playbooks, host keys, rebuilding) is imported by these alone: a pass that finds nothing
to do is mostly imports.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from shipyard.base import clock
from shipyard.base.errors import LeaseHeld, StoreError, UsageError
from shipyard.base.record import replace
from shipyard.files.config import Settings
from shipyard.model.event import Event
from shipyard.model.job import JobRun
from shipyard.model.memory import KnownVolume
from shipyard.model.plan import KeepAvailability, Plan
from shipyard.model.progress import Ending, Progress
from shipyard.model.request import (
    ApplyRequest,
    DrainRequest,
    JobRequest,
    ReconcileRequest,
    RemoveRequest,
    SimulateRequest,
)
from shipyard.model.situation import Situation
from shipyard.model.spec import Revision
from shipyard.model.status import PassSummary
from shipyard.reconcile import pace
from shipyard.reconcile.early import Opening
from shipyard.reconcile.keeper import LeaseKeeper
from shipyard.reconcile.nodeoperations import NodeOperations
from shipyard.reconcile.run import Wish, converge, with_lease
from shipyard.reconcile.session import Session, limited
from shipyard.store.records import EventRow, RevisionRow

if TYPE_CHECKING:
    from shipyard.model.outlook import Outlook
    from shipyard.reconcile.applying import Given
    from shipyard.reconcile.rebalancing import Proposal
    from shipyard.reconcile.rebuilding import Rebuilt


TURN = 0.3
"""Seconds that a watch leaves between two rounds at least, for others who wait for the lease."""


class Operations(NodeOperations):
    """The fleet of some settings: its store and its nodes. All methods raise ShipyardError's children."""

    def __init__(self, session: Session, environ: Mapping[str, str]) -> None:
        self._session = session
        self._environ = environ

    @classmethod
    def open(cls, settings: Settings, opening: Opening, *, environ: Mapping[str, str] | None = None) -> Operations:
        """Open the store, which is made where there is none."""
        session = Session.open(settings, opening, create=True)
        session.environ = os.environ if environ is None else environ
        return cls(session, session.environ)

    # --- the fleet as a whole

    def plan(self, request: ApplyRequest | None = None) -> tuple[Situation, Plan]:
        """What `apply` would do; without a request, what `reconcile` would. Changes nothing, takes no lease."""
        from shipyard.reconcile import applying

        if request is None:
            return applying.preview(self._session, None, Wish())
        return applying.preview(self._session, self._given(request), self._wish_of(request))

    def apply(self, request: ApplyRequest, progress: Progress) -> Ending:
        """Store the new revisions, and run passes."""
        from shipyard.reconcile import applying

        given, wish = self._given(request), self._wish_of(request)
        return applying.apply(self._session, given, wish, progress, wait=request.wait)

    def reconcile(self, request: ReconcileRequest, progress: Progress) -> Ending:
        """Run passes: once, until converged, or for ever."""
        self._something_applied()
        self._knows(request.accept_empty)
        wish = Wish(
            limit=limited(self._session, request.limit),
            accept_empty=frozenset(request.accept_empty),
            timeout=request.timeout,
            once=request.once,
            cron=request.cron,
        )
        if request.check:
            return self._check(wish, progress)
        if request.cron:
            pace.tell(self._session.store, progress, self._session.now())
        if not request.watch:
            # others wait for a run under cron as for a round of a watch: it ends by itself, and soon
            return with_lease(
                self._session,
                lambda keeper: converge(self._session, keeper, wish, progress),
                watching=request.cron,
            )
        return self._watch(wish, request.interval, progress)

    def _something_applied(self) -> None:
        """A store without a stack keeps nothing running; whoever believes otherwise has lost the store they mean."""
        if not self._session.store.heads() and not self._session.store.nodes():
            raise StoreError(
                "nothing has been applied yet, as far as this store knows",
                hint="`shipyard apply FILE` begins; if the store was lost, `shipyard state rebuild` reads it back",
            )

    def _knows(self, volumes: Iterable[str]) -> None:
        """Whoever mistypes the name of a volume that was lost should not wait for it."""
        memory = self._session.store.memory()
        known = {volume.name for volume in memory.volumes}
        if unknown := sorted(set(volumes) - known):
            hint = f"the volumes that are known: {', '.join(sorted(known))}" if known else "none is known"
            raise UsageError(f"--accept-empty: no volume is called {', '.join(unknown)}", hint=hint)

    def _check(self, wish: Wish, progress: Progress) -> Ending:
        from shipyard.reconcile import applying

        _, plan = applying.preview(self._session, None, wish)
        progress.on_plan(plan)
        waiting = tuple(each for each in plan.waiting if not (plan.unreachable and each.reason == "NodeNotObserved"))
        # a copy of what a person has just decided (`cordon`) changes nothing about the fleet
        pending = sum(not isinstance(action.step, KeepAvailability) for action in plan.actions)
        ending = Ending(
            converged=not (pending or plan.blocked or waiting),
            passes=1,
            pending=pending,
            blocked=plan.blocked,
            waiting=waiting,
            unreachable=plan.unreachable,
        )
        progress.done(ending)
        return ending

    def _watch(self, wish: Wish, interval: float, progress: Progress) -> Ending:
        """Until interrupted. The inventory is read again for every round, since hosts come and go.

        Between its rounds the lease is free, so that whoever gives a command beside it has a turn; a round that finds
        another pass at work leaves the fleet to it. Only who is there first is waited for by nobody: LeaseHeld.
        """
        wish, rounds = replace(wish, timeout=interval), 0
        while True:
            began = clock.monotonic()
            try:
                with_lease(self._session, lambda keeper: converge(self._session, keeper, wish, progress), watching=True)
            except LeaseHeld:
                if not rounds:
                    raise
            rounds += 1
            clock.sleep(max(interval - (clock.monotonic() - began), TURN))
            self._session.reload_inventory()

    def remove(self, request: RemoveRequest, progress: Progress) -> Ending:
        """Remove a stack, and run passes until nothing of it is left."""
        revision = self.revision(request.stack)
        volumes = frozenset(_full_names(revision, request.volumes))
        about = frozenset((request.stack,))
        wish = Wish(kind="rm", stacks=about, remove_volumes=volumes, timeout=request.timeout)

        def work(keeper: LeaseKeeper) -> Ending:
            self._session.store.mark_removing(request.stack, self._session.now())
            return converge(self._session, keeper, wish, progress)

        return with_lease(self._session, work, progress, wait=request.timeout)

    def run_job(self, request: JobRequest, progress: Progress) -> tuple[Ending, JobRun]:
        """Run a job now; returns what became of the run, too."""
        from shipyard.reconcile import requested

        return requested.run(self._session, request, progress)

    def rollback(self, stack: str, number: int | None, timeout: float, progress: Progress) -> Ending:
        """Store what an earlier revision said as a new one, and run passes."""
        from shipyard.reconcile import revising

        wish = Wish(kind="rollback", stacks=frozenset((stack,)), timeout=timeout)
        return self._after(lambda: revising.rollback(self._session, stack, number), wish, progress)

    def restart(self, stack: str, service: str, timeout: float, progress: Progress) -> Ending:
        """Give every replica of a service a new container, in turn."""
        from shipyard.reconcile import revising

        wish = Wish(kind="restart", stacks=frozenset((stack,)), timeout=timeout)
        return self._after(lambda: revising.restart(self._session, stack, service), wish, progress)

    def scale(self, wanted: Mapping[tuple[str, str], int], timeout: float, progress: Progress) -> Ending:
        """So many replicas of each of these services (stack, service)."""
        from shipyard.reconcile import revising

        wish = Wish(kind="scale", stacks=frozenset(stack for stack, _ in wanted), timeout=timeout)
        return self._after(lambda: revising.scale(self._session, wanted), wish, progress)

    def resume(self, stack: str, timeout: float, progress: Progress) -> Ending:
        """Let a stack's updates go on, and run passes."""
        from shipyard.reconcile import revising

        wish = Wish(kind="resume", stacks=frozenset((stack,)), timeout=timeout)
        return self._after(lambda: revising.resume(self._session, stack), wish, progress)

    def pause(self, stack: str) -> bool:
        """Hold a stack's updates, also while another process carries one out; returns whether one was under way."""
        from shipyard.reconcile import revising

        return revising.pause(self._session, stack)

    def _after(self, change: Callable[[], object], wish: Wish, progress: Progress) -> Ending:
        """Passes, once the store says something else."""

        def work(keeper: LeaseKeeper) -> Ending:
            change()
            return converge(self._session, keeper, wish, progress)

        return with_lease(self._session, work, progress, wait=wish.timeout)

    def _given(self, request: ApplyRequest) -> Given:
        from shipyard.files import kinds, playbook
        from shipyard.reconcile.applying import Given

        return Given(
            paths=tuple(Path(name) for name in request.files),
            extra_vars=playbook.extra_vars(request.extra_vars, cwd=Path.cwd(), keys=self._session.opening.keys),
            environ=self._environ,
            tags=request.tags,
            prune=request.prune,
            untrusted=request.untrusted,
            wish=kinds.Wish(request.hosts, request.stack, request.strict, request.env_files, request.profiles),
        )

    def _wish_of(self, request: ApplyRequest) -> Wish:
        return Wish(
            kind="apply",
            limit=limited(self._session, request.limit),
            accept_empty=frozenset(request.accept_empty),
            timeout=request.timeout,
        )

    # --- history

    def last_pass(self) -> PassSummary | None:
        """The newest pass that did something, or looked."""
        row = self._session.store.last_pass()
        if row is None:
            return None
        unended = "running" if self._session.store.is_leased(self._session.now()) else "interrupted"
        return PassSummary(row.id, row.started, row.finished, row.result or unended)

    def events(self, *, stack: str | None, after: int, limit: int) -> Sequence[EventRow]:
        """Events with an id greater than `after`, oldest first; of these the newest `limit`."""
        return self._session.store.events(stack=stack, since_id=after, limit=limit)

    def stacks(self) -> tuple[str, ...]:
        """Names of all stacks, sorted."""
        return tuple(head.revision.stack for head in self._session.store.heads())

    def history(self, stack: str) -> Sequence[RevisionRow]:
        """A stack's revisions, newest first. Raises UsageError for a stack that is not known."""
        if not self._session.store.has_stack(stack):
            self.revision(stack)
        return self._session.store.revisions(stack)

    def revision(self, stack: str, number: int | None = None) -> Revision:
        """One revision, or the newest. Raises UsageError for a stack that is not known, StoreError for a number."""
        if number is not None:
            found = self._session.store.revision(stack, number)
            if found is None:
                raise StoreError(f"there is no revision {number} of {stack}", hint=f"shipyard history {stack}")
            return found
        for head in self._session.store.heads():
            if head.revision.stack == stack:
                return head.revision
        known = ", ".join(self.stacks()) or "none yet"
        raise UsageError(f"there is no stack {stack}; known are: {known}")

    # --- what moves, and where to

    def drain(self, request: DrainRequest, progress: Progress) -> Ending:
        """Move all that is on these nodes elsewhere."""
        from shipyard.reconcile import draining

        return draining.drain(self._session, request, progress)

    def propose_rebalance(self, most: int) -> Proposal:
        """The moves, at most so many, that would make the fleet more even. Changes nothing."""
        from shipyard.reconcile import rebalancing

        return rebalancing.propose(self._session, most)

    def rebalance(self, proposal: Proposal, progress: Progress, timeout: float) -> Ending:
        """Carry out what was proposed."""
        from shipyard.reconcile import rebalancing

        return rebalancing.carry_out(self._session, proposal, progress, timeout)

    def simulate(self, request: SimulateRequest) -> Outlook:
        """What would become of every replica. Changes nothing, and asks no node that was seen before."""
        from shipyard.reconcile import simulating

        files = ApplyRequest(
            request.files,
            request.extra_vars,
            hosts=request.hosts,
            stack=request.stack,
            strict=request.strict,
            env_files=request.env_files,
            profiles=request.profiles,
        )
        return simulating.simulate(self._session, request, self._given(files) if request.files else None)

    def adopt_volume(self, stack: str, volume: str, node: str | None) -> Sequence[str]:
        """Take an existing volume into a stack; returns the nodes that have it."""
        revision = self.revision(stack)
        (name,) = _full_names(revision, (volume,))
        situation, _ = self.plan()
        nodes = sorted(
            seen.name
            for seen in situation.seen().values()
            if any(there.name == name for there in seen.volumes) and node in (None, seen.name)
        )
        if nodes:
            memory = self._session.store.memory()
            known = {*memory.volumes, *(KnownVolume(each, name, stack) for each in nodes)}
            ordered = tuple(sorted(known, key=lambda volume: (volume.node, volume.name)))
            self._session.store.save_memory(replace(memory, volumes=ordered))
            now = self._session.now()
            self._session.store.add_events(
                Event(now, "VolumeAdopted", f"{stack}/{name}", f"{name} on {each} is used as it is", each)
                for each in nodes
            )
        return nodes

    # --- the store

    def rebuild(self, *, lost: bool = False) -> Rebuilt:
        """Read a lost store back from the nodes. `lost`: without stacks that can't be read any more."""
        from shipyard.reconcile import rebuilding

        return rebuilding.rebuild(self._session, lost=lost)

    def has_secrets(self) -> bool:
        """Whether the store holds any, or revisions that do: what is of no use without the key."""
        return bool(self._session.store.sealed_by())

    def backup(self, path: Path) -> None:
        """Copy the store to a file."""
        self._session.store.backup(path)

    def close(self) -> None:
        """Close the store and all connections."""
        self._session.close()

    def __enter__(self) -> Operations:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _full_names(revision: Revision, names: Sequence[str]) -> tuple[str, ...]:
    """Volumes by key or full name, as full names. Raises UsageError for one that the stack does not have."""
    known = {volume.key: volume.name for volume in revision.spec.volumes if not volume.external}
    full = []
    for name in names:
        if name not in known and name not in known.values():
            have = ", ".join(sorted(known)) or "none"
            raise UsageError(f"the stack {revision.stack} has no volume {name}; it has {have}")
        full.append(known.get(name, name))
    return tuple(full)
