"""`simulate`: the planner run forward over what the store knows. Nothing is changed; only nodes never seen are asked.

Each node is taken to be as it was last seen: what it has in cores and memory, and whether it answered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from shipyard.base.errors import UsageError
from shipyard.base.record import replace
from shipyard.files import kinds, playbook
from shipyard.files.patterns import match
from shipyard.model.node import Node, NodeState
from shipyard.model.observed import Observation, ObservedNode
from shipyard.model.outlook import Outlook
from shipyard.model.plan import Notice
from shipyard.model.request import MoreNodes, SimulateRequest
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import ServiceSpec
from shipyard.planner.simulate import outlook
from shipyard.reconcile import joining
from shipyard.reconcile.applying import Given, desired
from shipyard.reconcile.looking import look
from shipyard.reconcile.membership import Membership
from shipyard.reconcile.session import Session


def simulate(session: Session, request: SimulateRequest, given: Given | None) -> Outlook:
    """What would become of every replica. Raises UsageError for what is not there."""
    stacks, said = (_applied(session), ()) if given is None else _with_files(session, given)
    patterns = {service.pattern for stack in stacks for service in stack.revision.spec.services}
    membership = session.membership(patterns)
    gone = _named(session, membership, request.without)
    before = _as_last_seen(session, membership, stacks if given is None else _applied(session), gone)
    after = replace(before, stacks=_scaled(stacks, request.scale))
    after = replace(
        after,
        nodes=tuple(node for node in after.nodes if node.name not in gone),
        observed=tuple(each for each in after.observed if each.name not in gone),
    )
    found = outlook(before, _with_more(after, request.add))
    return replace(found, notices=(*(Notice("files", "Note", words) for words in said), *found.notices))


def _applied(session: Session) -> tuple[DesiredStack, ...]:
    """The stacks as they are, with what a pass would give to hosts that joined."""
    situation = session.situation(session.membership(), session.stacks())
    return joining.foreseen(session, situation).stacks


def _with_files(session: Session, given: Given) -> tuple[tuple[DesiredStack, ...], tuple[str, ...]]:
    """The stacks as they would be once these files were applied, and what there is to say of these.

    Images are left as written.
    """
    loaded = kinds.load(
        given.paths,
        given.wish,
        inventory=session.inventory,
        project=session.settings.root,
        extra_vars=given.extra_vars,
        tags=given.tags,
        environ=given.environ,
        untrusted=given.untrusted,
        keys=session.opening.keys,
    )
    heads = {head.revision.stack: head.revision for head in session.store.heads() if not head.removing}
    specs = [
        playbook.merge(
            heads[spec.name].spec if spec.name in heads else None,
            spec,
            files=loaded.files,
            tags=given.tags,
            prune=given.prune,
        ).stack
        for spec in loaded.stacks
    ]
    return desired(session, specs, heads), loaded.notices


def _as_last_seen(
    session: Session, membership: Membership, stacks: tuple[DesiredStack, ...], gone: Collection[str]
) -> Situation:
    """What the store knows; nodes that nobody has seen yet are asked, unless they are to be gone."""
    situation = session.situation(membership, stacks)
    known = {record.node.name: record.facts for record in session.store.nodes()}
    states = {memory.name: memory.state for memory in situation.memory.nodes}
    observed: list[Observation] = []
    unknown = []
    for node in situation.nodes:
        facts = known.get(node.name)
        if facts is None and node.name in gone:
            continue
        if facts is None:
            unknown.append(node.name)
        elif states.get(node.name, NodeState.READY) in (NodeState.READY, NodeState.UNKNOWN):
            observed.append(ObservedNode(node.name, facts))
    if unknown:
        asked = look(session, membership, replace(situation, stacks=()), images={}, only=unknown)
        observed += [
            ObservedNode(each.name, each.facts) if isinstance(each, ObservedNode) else each for each in asked.observed
        ]
    return replace(situation, observed=tuple(sorted(observed, key=lambda each: each.name)))


def _scaled(stacks: tuple[DesiredStack, ...], scale: Iterable[tuple[str, str, int]]) -> tuple[DesiredStack, ...]:
    for stack, name, replicas in scale:
        there = next((each for each in stacks if each.revision.stack == stack), None)
        service = there.revision.spec.service(name) if there else None
        if there is None or service is None:
            known = [f"{each.revision.stack}/{one.name}" for each in stacks for one in each.revision.spec.services]
            raise UsageError(f"there is no service {stack}/{name}; known are: {', '.join(known) or 'none yet'}")
        if service.mode != "replicated":
            raise UsageError(f"{stack}/{name} has mode {service.mode}, so how many it has can't be said")
        fresh = _replaced(there, replace(service, replicas=replicas))
        stacks = tuple(fresh if each is there else each for each in stacks)
    return stacks


def _replaced(stack: DesiredStack, service: ServiceSpec) -> DesiredStack:
    spec = stack.revision.spec
    services = tuple(service if each.name == service.name else each for each in spec.services)
    return replace(stack, revision=replace(stack.revision, spec=replace(spec, services=services)))


def _named(session: Session, membership: Membership, patterns: Iterable[str]) -> set[str]:
    """The nodes that these patterns name."""
    named: set[str] = set()
    known = {node.name for node in membership.nodes}
    for pattern in patterns:
        found = ({pattern} & known) or (set(match(pattern, session.inventory).hosts) & known)
        if not found:
            raise UsageError(f"--without {pattern} names no node; known are: {', '.join(sorted(known)) or 'none yet'}")
        named |= found
    return named


def _with_more(situation: Situation, more: Iterable[MoreNodes]) -> Situation:
    """Further nodes, each of them in everything like one that is there, but empty."""
    for add in more:
        model = next((node for node in situation.nodes if node.name == add.like), None)
        seen = situation.seen().get(add.like)
        if model is None or seen is None:
            known = ", ".join(sorted(situation.seen())) or "none yet"
            raise UsageError(f"--add …:like={add.like} names no node that answered; known are: {known}")
        names = _new_names(situation, add)
        situation = replace(
            situation,
            nodes=(*situation.nodes, *(_like(model, name) for name in names)),
            observed=(*situation.observed, *(replace(seen, name=name) for name in names)),
            stacks=tuple(_reaching(stack, add.like, names) for stack in situation.stacks),
        )
    return situation


def _new_names(situation: Situation, add: MoreNodes) -> list[str]:
    taken = {node.name for node in situation.nodes}
    names = (f"{add.like}+{number}" for number in range(1, len(taken) + add.count + 1))
    return [name for name in names if name not in taken][: add.count]


def _like(model: Node, name: str) -> Node:
    return replace(model, name=name, node_id=None)


def _reaching(stack: DesiredStack, like: str, names: list[str]) -> DesiredStack:
    """A pattern that matches the model matches those like it; so do values that were rendered for it."""
    eligible = tuple((service, (*nodes, *names) if like in nodes else nodes) for service, nodes in stack.eligible)
    spec = stack.revision.spec
    services = tuple(
        replace(each, rendered=tuple(sorted((*each.rendered, *names)))) if like in each.rendered else each
        for each in spec.services
    )
    return replace(stack, eligible=eligible, revision=replace(stack.revision, spec=replace(spec, services=services)))
