"""The pass, and its repetition until the fleet has converged.

files -> desired -> observe -> plan -> execute -> record
            ^                                       |
            +-------------- the next pass ----------+
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from shipyard.base import clock
from shipyard.base.errors import LeaseHeld, ShipyardError
from shipyard.base.record import Struct, replace
from shipyard.model.plan import Blocked, Notice, Outcome, Plan, Status, Waiting
from shipyard.model.progress import Ending, Progress
from shipyard.model.situation import Situation
from shipyard.planner import probes, scaling, stuck
from shipyard.planner.job_events import job_events
from shipyard.planner.learn import events, learn, node_events, replica_events, rollout_events
from shipyard.planner.network import draining
from shipyard.planner.plan import plan
from shipyard.reconcile import expecting, joining
from shipyard.reconcile.keeper import LeaseKeeper, whoami
from shipyard.reconcile.looking import look, planned, remember_nodes, revive, stocked, with_details
from shipyard.reconcile.membership import Membership
from shipyard.reconcile.revising import roll_back
from shipyard.reconcile.session import Session
from shipyard.reconcile.settled import is_settled
from shipyard.runtime.dialects import by_name

CRASHES = ("BackOff", "RestartDelay", "Restarted", "Restarting")
"""Why what crashes again and again is waited for, whoever starts it again."""
TIMED = (
    "BackOff",
    "Canary",
    "Draining",
    "HealthStarting",
    "InitRunning",
    "JobRunning",
    "Monitoring",
    "MoveLimit",
    "NodeReturned",
    "Probing",
    "RestartDelay",
    "Restarted",
    "Restarting",
    "UpdateDelay",
)
"""Reasons for waiting that time alone ends; others wait for these, or for a node."""

POLL = (0.5, 1.0, 2.0, 3.0, 5.0)
"""Seconds between looks at what ends by itself; the last goes on."""

PATIENCE = 30.0
"""Seconds for which a run under cron waits for what time ends: the next one comes anyway, and who is there to mend
something should not be kept out meanwhile."""


class Wish(Struct, frozen=True):
    """What a run should do beside keeping the fleet as declared. Names as on the command line.

    `stacks`: those that the command is about; none: all of them.
    """

    kind: str = "reconcile"
    stacks: frozenset[str] = frozenset()
    limit: frozenset[str] | None = None
    accept_empty: frozenset[str] = frozenset()
    remove_volumes: frozenset[str] = frozenset()
    timeout: float = 600.0
    once: bool = False
    cron: bool = False


class Tally(Struct):
    """What a run came to so far. `touched`: nodes of which its last pass can't say what is there now; None: of none."""

    passes: int = 0
    changed: int = 0
    failed: int = 0
    undone: tuple[Blocked, ...] = ()
    touched: frozenset[str] | None = None

    def count(self, outcomes: Sequence[Outcome]) -> None:
        self.changed += sum(outcome.status == Status.DONE for outcome in outcomes)
        self.failed += sum(outcome.status in (Status.FAILED, Status.UNKNOWN) for outcome in outcomes)


def situation_now(
    session: Session, keeper: LeaseKeeper, wish: Wish, progress: Progress, *, closely: Collection[str] | None
) -> tuple[Membership, Situation]:
    """Load and observe: closely on these nodes, or on all (look)."""
    membership = session.membership()
    before = session.situation(membership, session.stacks(), wish.limit)
    before = joining.welcome(session, before, keeper, progress)
    situation = look(session, membership, before, closely=closely)
    return membership, wished(situation, wish)


def wished(situation: Situation, wish: Wish) -> Situation:
    """The situation with what this run alone allows."""
    if not wish.accept_empty and not wish.remove_volumes:
        return situation
    return replace(situation, accept_empty=wish.accept_empty, remove_volumes=wish.remove_volumes)


def one_pass(
    session: Session,
    keeper: LeaseKeeper,
    wish: Wish,
    progress: Progress,
    tally: Tally,
    seen: tuple[Membership, Situation] | None = None,
) -> Plan:
    """Load, observe, plan, execute, record: once. A pass that could not be carried through is recorded as such.

    `seen`: the fleet as it was just observed, by `apply` for its images; it is not asked again then.
    """
    closely = _closely(session, tally)
    pass_id = session.store.begin_pass(kind=wish.kind, holder=whoami(), now=session.now())
    try:
        membership, situation = seen or situation_now(session, keeper, wish, progress, closely=closely)
        keeper.compare(situation.seen().values())
        if seen is not None:  # what was looked up for it, under the names that the tags were resolved to
            situation = replace(situation, observed=tuple(stocked(session, answer) for answer in situation.observed))
        remember_nodes(session, membership, situation)
        situation = revive(session, situation)
        decided = planned(session, situation)
        if seen is not None and decided.inspect and not decided.waves:
            # what a look of its own would have asked next: without it, nothing to do is not known to be so
            situation = with_details(session, membership, situation)
            decided = plan(situation, waves=1)
        if decided.fence and session.settings.fence:
            from shipyard.reconcile.fencing import fence

            keeper.check()
            situation = fence(session, situation, decided.fence)
            decided = plan(situation, waves=1)
        progress.on_plan(decided)
        _tell(session, situation, decided, progress)
        done: tuple[Outcome, ...] = ()
        if decided.waves:
            done = _act(session, keeper, membership, situation, decided, pass_id, progress)
            tally.count(done)
        elif decided.memory != situation.memory:
            session.store.save_memory(decided.memory)
        if decided.rollbacks:
            keeper.check()
            tally.undone += roll_back(session, situation, decided.rollbacks)
        for stack in decided.forget:
            session.store.forget_stack(stack)
    except LeaseHeld:
        raise
    except ShipyardError:
        session.store.end_pass(pass_id, result="failed", now=session.now(), changes=0)
        raise
    changes = sum(outcome.status == Status.DONE for outcome in done)
    result = _result(decided, done)
    tally.touched = None if result == "failed" else expecting.after(session.found, done)
    session.store.end_pass(pass_id, result=result, now=session.now(), changes=changes)
    if result == "converged":
        session.expect(situation)
    return decided


def _closely(session: Session, tally: Tally) -> frozenset[str] | None:
    """The nodes on which this pass looks closely; None: on all.

    Later passes of a run do so where the one before left open what came of it; everywhere, if any of it failed.
    """
    if tally.passes > 1:
        return tally.touched
    last = session.store.last_pass()
    settled = last is not None and is_settled(last.result, last.finished, last.count, session.now())
    return frozenset() if settled else None


def _tell(session: Session, situation: Situation, decided: Plan, progress: Progress) -> None:
    """Events beside the actions': of nodes, jobs and updates, and what became blocked or no longer is."""
    happened = (
        *node_events(situation.memory, decided.memory, situation.now),
        *replica_events(situation.memory, decided.memory, situation.now),
        *job_events(situation.memory, decided.memory, situation.now),
        *probes.events(situation.memory, decided.memory, situation.now),
        *rollout_events(situation.memory, decided.memory, situation.now),
        *scaling.events(situation.memory, decided.memory, situation.now),
    )
    for event in happened:
        progress.on_event(event)
    told = {(event.target, reason) for event in happened for reason in (event.reason, stuck.ENDED)}
    blocked = tuple(
        event
        for event in stuck.events(situation.memory, decided.memory, situation.now)
        if (event.target, event.reason) not in told
    )
    for event in blocked:
        progress.on_blocked(event)
    if happened or blocked:
        session.store.add_events((*happened, *blocked))


def _act(
    session: Session,
    keeper: LeaseKeeper,
    membership: Membership,
    situation: Situation,
    decided: Plan,
    pass_id: int,
    progress: Progress,
) -> tuple[Outcome, ...]:
    """Execute the first wave: what is about to happen is written down before, what came of it after."""
    # most passes find nothing to do, and need none of it
    from shipyard.execute.run import Interrupted, WaveRefused, execute
    from shipyard.execute.script import Fence
    from shipyard.reconcile import copies

    keeper.check()
    wave = copies.sealed(session.vault, situation.stacks, decided.waves[0])
    session.store.begin_wave(pass_id, wave, decided.memory, session.now())
    progress.on_start(wave)
    dialects = {name: by_name(node.facts.runtime) for name, node in situation.seen().items() if node.facts.runtime}
    fence = Fence(situation.cluster, session.store.uuid, keeper.epoch)
    keeper.acted = True
    try:
        outcomes = execute(
            session.fleet(membership),
            wave,
            dialects,
            fence,
            credentials=session.credentials().auth_for,
            secrets=session.vault.content,
            pull=session.settings.timeouts.pull,
            on_outcome=progress.on_outcome,
        )
    except (WaveRefused, Interrupted) as stopped:
        _record(session, situation, decided, pass_id, stopped.outcomes)
        raise
    _record(session, situation, decided, pass_id, outcomes)
    return outcomes


def _record(session: Session, situation: Situation, decided: Plan, pass_id: int, outcomes: tuple[Outcome, ...]) -> None:
    now = session.now()
    memory = learn(decided.memory, outcomes, now, situation.timing, planned=situation.now)
    session.store.end_wave(pass_id, outcomes, memory, events(outcomes, now), now)


def _result(decided: Plan, outcomes: Sequence[Outcome]) -> str:
    if any(outcome.status in (Status.FAILED, Status.UNKNOWN) for outcome in outcomes):
        return "failed"
    if decided.waves:
        return "changed"
    if decided.blocked:
        return "blocked"
    return "waiting" if decided.waiting or decided.unreachable else "converged"


def converge(
    session: Session,
    keeper: LeaseKeeper,
    wish: Wish,
    progress: Progress,
    seen: tuple[Membership, Situation] | None = None,
) -> Ending:
    """Passes until one plans nothing and nothing is left that time would end, or until the time limit.

    The time in which the lease was waited for counts. `seen`: what the first pass need not observe again.
    """
    began = clock.monotonic()
    deadline = began + wish.timeout - keeper.waited
    tally, idle, fruitless = Tally(), 0, 0
    while True:
        tally.passes += 1
        progress.on_pass(tally.passes)
        before = tally.changed
        decided = one_pass(session, keeper, wish, progress, tally, seen)
        seen = None
        left = deadline - clock.monotonic()
        if wish.once:
            return _finish(progress, tally, decided, wish, timed_out=False)
        if (decided.waves or decided.rollbacks) and left > 0:
            idle, fruitless = 0, 0 if tally.changed > before or decided.rollbacks else fruitless + 1
            if wish.cron and fruitless and clock.monotonic() - began > PATIENCE:
                return _finish(progress, tally, decided, wish, timed_out=True)
            # a node whose disk is full, say, fails at once, and at each try
            rest = POLL[min(fruitless, len(POLL)) - 1] if fruitless else 0.0
            clock.sleep(max(draining.settling(decided), min(rest, left)))
            continue
        timed = _ended_by_time(decided, wish.stacks)
        if decided.waves or not timed:
            return _finish(progress, tally, decided, wish, timed_out=bool(decided.waves))
        pause = _pause(timed, session.now(), idle)
        if wish.cron and clock.monotonic() - began + pause > PATIENCE:
            return _finish(progress, tally, decided, wish, timed_out=False)
        if pause > left:
            return _finish(progress, tally, decided, wish, timed_out=True, next_look=pause if left > 0 else None)
        progress.on_wait(timed, pause)
        clock.sleep(pause)
        idle += 1


def _ended_by_time(decided: Plan, about: frozenset[str]) -> tuple[Waiting, ...]:
    """What only waits for time. Not so where an update stopped: what its failed replicas do next changes nothing.

    Nor for other stacks' replicas that crash again and again: whoever removes or deploys a stack is not kept by those.
    """
    stopped = {each.target for each in decided.blocked if each.reason in ("UpdatePaused", "RollbackPaused")}
    waiting = [each for each in decided.waiting if each.reason in TIMED]
    if about:
        waiting = [
            each
            for each in waiting
            if each.reason not in CRASHES or "/" not in each.target or each.target.partition("/")[0] in about
        ]
    return tuple(each for each in waiting if not {each.target, each.target.rpartition(".")[0]} & stopped)


def _pause(waiting: Sequence[Waiting], now: float, idle: int) -> float:
    """Until the first back-off ends; sooner where something may end by itself at any time."""
    poll = POLL[min(idle, len(POLL) - 1)]
    untils = [each.until - now for each in waiting if each.until is not None]
    if any(each.until is None for each in waiting):
        untils.append(poll)
    return max(min(untils), 0.1)


def _finish(
    progress: Progress,
    tally: Tally,
    decided: Plan,
    wish: Wish,
    *,
    timed_out: bool,
    next_look: float | None = None,
) -> Ending:
    decided = replace(decided, blocked=(*decided.blocked, *tally.undone))
    silent = set(decided.unreachable)
    waiting = tuple(each for each in decided.waiting if not (silent and each.reason == "NodeNotObserved"))
    acted = wish.once and bool(decided.waves)
    ending = Ending(
        converged=not (decided.blocked or waiting or timed_out or (acted and tally.failed)),
        passes=tally.passes,
        changed=tally.changed,
        failed=tally.failed,
        blocked=decided.blocked,
        waiting=waiting,
        unreachable=decided.unreachable,
        timed_out=timed_out,
        next_look=next_look,
    )
    progress.done(ending)
    return ending


def with_lease(
    session: Session,
    work: Callable[[LeaseKeeper], Ending],
    progress: Progress | None = None,
    *,
    wait: float = 0.0,
    watching: bool = False,
) -> Ending:
    """Do something while holding the lease. Raises LeaseHeld.

    `wait`: seconds for which a round of a watch, or a run under cron, is waited for, as whoever gives a command beside
    one expects, and cron does not. `watching`: it is such a round itself.
    """

    def tell(held: LeaseHeld) -> None:
        if progress is not None:
            progress.on_notice(Notice("lease", "Note", f"{held.message}; waiting for it to end"))

    with LeaseKeeper(session.store, watching=watching, wait=wait, on_wait=tell) as keeper:
        session.holds(keeper.epoch)
        return work(keeper)


def reconcile(session: Session, wish: Wish, progress: Progress) -> Ending:
    """`shipyard reconcile`: keep the fleet as it was last applied."""
    return with_lease(session, lambda keeper: converge(session, keeper, wish, progress))
