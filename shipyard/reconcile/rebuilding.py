"""`state rebuild`: a store that was lost, read back from the nodes.

Revisions come from the copies that nodes keep, placements from the containers' labels and names, cordons and drains
from each node's own copy of what was decided about it. The new store then takes the nodes over, with an epoch above
every one that they have seen, so that what is left of the old one is fenced out. External configs are again what stacks
have of them. Secrets are on no node and have to be set again. Copies of revisions that hold some in a container's
environment are encrypted, and need the lost store's key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shipyard.base.errors import NodeError, ShipyardError
from shipyard.base.record import Struct, replace
from shipyard.execute.run import take
from shipyard.execute.script import Fence
from shipyard.model import labels
from shipyard.model.job import JOB_MODES, Job
from shipyard.model.memory import KnownVolume, Memory, Placement, SlotKey
from shipyard.model.node import Availability, Node
from shipyard.model.observed import Container, ContainerState, ObservedNode, Silent
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import Revision, SecretSpec
from shipyard.observe.fleet import observe
from shipyard.observe.kept import KeptCluster, read_kept
from shipyard.observe.probe import NodeRequest
from shipyard.planner.job_adopt import adopted
from shipyard.planner.nodes import judge
from shipyard.planner.world import build, slot_of
from shipyard.reconcile import copies, outside
from shipyard.reconcile.keeper import LeaseKeeper
from shipyard.reconcile.looking import remember_nodes
from shipyard.reconcile.session import Session
from shipyard.reconcile.vault import missing

MAX_INCARNATIONS = 100_000
"""How far an incarnation's number is searched for from its name's six digits."""


class Rebuilt(Struct, frozen=True):
    """What was read back. `problems`: nodes that did not answer; what only they knew is missing.

    `secrets`: names of those that the stacks use, whose contents no node gives back: they are set or applied again.
    `decided`: nodes that are cordoned or drained, as they were.
    `unread`: stacks whose copies can't be read, to be applied again.
    `configs`: names of external ones, which are again what the newest revision that has them had.
    """

    cluster: str
    revisions: tuple[Revision, ...]
    placements: int
    nodes: tuple[str, ...]
    problems: tuple[str, ...]
    secrets: tuple[SecretSpec, ...] = ()
    decided: tuple[Node, ...] = ()
    unread: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()


def clusters_on(session: Session) -> tuple[dict[str, list[tuple[str, KeptCluster]]], tuple[str, ...]]:
    """What the inventory's hosts keep, by cluster; and the nodes that did not answer, in words.

    A cluster that owns nothing was only ever turned away there: a new store, made where the lost one had been.
    """
    membership = session.membership(("all",))
    answers = read_kept(session.fleet(membership), [node.name for node in membership.nodes])
    found: dict[str, list[tuple[str, KeptCluster]]] = {}
    problems = []
    for name in sorted(answers):
        answer = answers[name]
        if isinstance(answer, NodeError):
            problems.append(str(answer))
            continue
        for kept in answer:
            if kept.owner:
                found.setdefault(kept.cluster, []).append((name, kept))
    return found, tuple(problems)


def choose(found: Mapping[str, object], wanted: str | None) -> str:
    """Which cluster to rebuild. Raises ShipyardError when there is none, or several and none was named."""
    if wanted is not None and wanted in found:
        return wanted
    if not found:
        raise ShipyardError("no node of the inventory keeps anything of a cluster", hint="is it the right inventory?")
    names = ", ".join(sorted(found))
    if wanted is not None:
        raise ShipyardError(f"no node keeps anything of the cluster {wanted}; they keep {names}")
    if len(found) > 1:
        raise ShipyardError(
            f"the nodes keep several clusters: {names}",
            hint='say which in shipyard.toml: cluster = "…"',
        )
    return next(iter(found))


def rebuild(session: Session, *, lost: bool = False) -> Rebuilt:
    """Fill an empty store from the nodes, and make them its own. `lost`: without stacks that can't be read any more."""
    if session.store.heads():
        raise ShipyardError(
            "this store is not empty: there is nothing to rebuild",
            hint="move it away first, if the nodes know better",
        )
    found, problems = clusters_on(session)
    if problems and not session.settings.yes:
        raise ShipyardError(
            f"not every node of the inventory could be asked: {'; '.join(problems)}",
            hint="what runs there would be started once more elsewhere; bring it back first, or --yes does without it",
        )
    cluster = choose(found, session.settings.cluster)
    kept = found[cluster]
    copied = copies.read(session.vault, ((name, copy) for name, each in kept for copy in each.revisions))
    if copied.unread and not lost:
        raise copies.unreadable(copied.unread)
    session.store.adopt_cluster(cluster)
    session.store.raise_epoch(max(each.epoch for _, each in kept))
    with LeaseKeeper(session.store) as keeper:
        revisions = tuple(copied.revisions[name] for name in sorted(copied.revisions))
        names = [name for name, _ in kept]
        situation = _observed(session, cluster, names)
        memory = _memory(situation, revisions, copied.unread)
        decided = _decisions(session, situation)
        _take_over(session, situation, keeper)
        already = {row.name for row in session.store.configs()}
        configs = tuple(row for row in outside.read_back(revisions) if row.name not in already)
        # Last and at once: until then the store is empty, so that whatever ended this can be mended and it be run again
        session.store.import_state(
            revisions,
            memory,
            unread=[(stack, number) for stack, (number, _) in copied.unread.items()],
            outside=configs,
        )
    lacking = missing(session.store, (revision.spec for revision in revisions))
    unread = tuple(sorted(copied.unread))
    return Rebuilt(
        cluster,
        revisions,
        len(memory.placements),
        tuple(names),
        problems,
        lacking,
        decided,
        unread,
        tuple(row.name for row in configs),
    )


def _observed(session: Session, cluster: str, names: list[str]) -> Situation:
    membership = session.membership(("all",))
    nodes = tuple(node for node in membership.nodes if node.name in names)
    requests = [NodeRequest(node.name, cluster, node.runtime) for node in nodes]
    answers = observe(session.fleet(membership), requests, timeout=session.settings.timeouts.observe)
    for answer in answers:
        if isinstance(answer, Silent):
            raise NodeError(answer.name, answer.message, hint=answer.hint)
    situation = replace(session.situation(membership, ()), cluster=cluster, nodes=nodes, observed=answers)
    remember_nodes(session, membership, situation)
    return situation


def _decisions(session: Session, situation: Situation) -> tuple[Node, ...]:
    """Cordons and drains that nodes know of hold again, unless the new store says something of that node already."""
    seen = situation.seen()
    for record in session.store.nodes():
        node = seen.get(record.node.name)
        if node is None or node.availability == Availability.ACTIVE:
            continue
        if record.node.availability == Availability.ACTIVE:
            kept = replace(record.node, availability=node.availability, drain_until=node.drain_until)
            session.store.decide(kept)
    known = (record.node for record in session.store.nodes())
    return tuple(node for node in known if node.availability != Availability.ACTIVE)


def _memory(situation: Situation, revisions: tuple[Revision, ...], unread: Iterable[str]) -> Memory:
    known = {*(revision.stack for revision in revisions), *unread}
    best: dict[SlotKey, tuple[tuple[bool, int], Placement]] = {}
    volumes = set()
    for name, node in situation.seen().items():
        for box in node.containers:
            placed = _placement(situation.cluster, name, box)
            if placed is None or placed.stack not in known:
                continue
            rank = (box.state == ContainerState.RUNNING, placed.incarnation)
            if placed.key not in best or best[placed.key][0] < rank:
                best[placed.key] = (rank, placed)
        volumes |= _volumes(situation.cluster, node)
    placements = sorted((placed for _, placed in best.values()), key=lambda placed: placed.key)
    return Memory(
        jobs=_jobs(situation, revisions),
        placements=tuple(placements),
        volumes=tuple(sorted(volumes, key=lambda volume: (volume.node, volume.name))),
    )


def _jobs(situation: Situation, revisions: tuple[Revision, ...]) -> tuple[Job, ...]:
    """What jobs have begun, while all nodes can be asked: none of it is begun once more."""
    stacks = tuple(DesiredStack(revision) for revision in revisions)
    situation = replace(situation, stacks=stacks)
    world = build(situation, judge(situation))
    jobs = (
        adopted(world, stack, service)
        for stack in stacks
        for service in stack.revision.spec.services
        if service.mode in JOB_MODES
    )
    return tuple(sorted(jobs, key=lambda job: job.key))


def _placement(cluster: str, node: str, box: Container) -> Placement | None:
    key = slot_of(box)
    revision = box.label(labels.REVISION) or ""
    if key is None or not revision.isdigit():
        return None
    suffix = labels.replica_name(box.name).rpartition("-")[2]
    for incarnation in range(1, MAX_INCARNATIONS):
        if labels.incarnation_suffix(cluster, *key, incarnation) == suffix:
            return Placement(*key, node, incarnation, int(revision))
    return None


def _volumes(cluster: str, node: ObservedNode) -> set[KnownVolume]:
    found = set()
    for volume in node.volumes:
        said = dict(volume.labels)
        if said.get(labels.CLUSTER) == cluster and said.get(labels.STACK):
            found.add(KnownVolume(node.name, volume.name, said[labels.STACK]))
    return found


def _take_over(session: Session, situation: Situation, keeper: LeaseKeeper) -> None:
    membership = session.membership(("all",))
    fence = Fence(situation.cluster, session.store.uuid, keeper.epoch, take_over=True)
    answers = take(session.fleet(membership), sorted(situation.seen()), fence)
    failed = [answer for answer in answers.values() if isinstance(answer, NodeError)]
    if failed:
        raise failed[0]
