"""Ask every node once, and make of the answers what the planner may rely on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from shipyard.base.errors import Refused, ShipyardError
from shipyard.base.record import replace
from shipyard.model.image import HOLDER
from shipyard.model.node import Node
from shipyard.model.observed import Facts, Observation, ObservedNode, Silent
from shipyard.model.plan import LoadHolder, Plan, PullImage
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import ServiceSpec
from shipyard.model.wire import WiringRequest
from shipyard.observe.fleet import observe
from shipyard.observe.probe import NodeRequest
from shipyard.planner import plan, probes, scaling, storage
from shipyard.planner.network import asking, spanning
from shipyard.reconcile.membership import Membership
from shipyard.reconcile.session import Session, with_revisions
from shipyard.store.records import StoredNode


def look(
    session: Session,
    membership: Membership,
    situation: Situation,
    *,
    images: Mapping[str, Collection[str]] | None = None,
    only: Collection[str] | None = None,
    versions: bool = False,
    closely: Collection[str] | None = None,
    tools: bool = False,
) -> Situation:
    """The situation with what the nodes answered. `images`: references to look up, by node. `only`: ask these nodes.

    `versions`: ask for the runtimes' versions also where they are known. `closely`: look on these nodes for what nobody
    expects there, too; None: on all. Elsewhere the containers that were there before are asked for by their ids, and
    others are looked for only where one of them is missing. `tools`: ask for what a network across nodes needs, also
    where there is none. Each costs a process or more on each node.
    All nodes are asked also where `--limit` names some: it limits what is done, not what is known.
    Raises Refused when a node belongs to another store, ShipyardError when one node has two names.
    """
    asked = [node for node in situation.nodes if only is None or node.name in only]
    measured = scaling.to_measure(situation) if images is None else frozenset()
    first = images is None and only is None
    answers = _ask(
        session,
        membership,
        situation,
        asked,
        images or {},
        versions=versions,
        closely=closely,
        measured=measured,
        tools=tools,
        first=first,
    )
    if closely is None:
        session.images = {}
    answers = tuple(stocked(session, answer) for answer in answers)
    situation = replace(situation, observed=answers, asked=situation.now, now=session.now())
    if only is None:
        session.found = {
            name: tuple(sorted(box.id for box in node.containers)) for name, node in situation.seen().items()
        }
        session.networks = {
            name: frozenset(each.name for each in node.networks) for name, node in situation.seen().items()
        }
    _check_identity(session, situation)
    situation = spanning.resolved(with_revisions(situation, session))
    if images is None:
        situation = _probe(session, membership, situation)
        situation = look_closer(session, membership, situation)
    return situation


def _probe(session: Session, membership: Membership, situation: Situation) -> Situation:
    """Probes that are due are tried now; where there are none, no node is asked again."""
    tries = probes.due(situation)
    if not tries:
        return situation
    from shipyard.observe.trying import try_all

    runtimes = {name: node.facts.runtime for name, node in situation.seen().items()}
    return replace(situation, probed=try_all(session.fleet(membership), tries, runtimes))


def _ask(
    session: Session,
    membership: Membership,
    situation: Situation,
    nodes: Iterable[Node],
    images: Mapping[str, Collection[str]],
    *,
    versions: bool = False,
    closely: Collection[str] | None = None,
    measured: Collection[str] = (),
    details: Collection[str] = (),
    first: bool = False,
    tools: bool = False,
) -> tuple[Observation, ...]:
    versioned = {} if versions else _known_versions(session)
    wirings = asking.requests(situation, details=details)
    there = session.found if first else {}
    requests = [
        _request(
            situation,
            node,
            wirings.get(node.name, WiringRequest() if tools else None),
            tuple(sorted(images.get(node.name, ()))),
            # one that is upgraded may need other networks: asked again together with all else of its network
            version=node.name not in versioned or node.name in details,
            closely=closely is None or node.name in closely,
            usage=node.name in measured,
            containers=there.get(node.name, ()),
            there=session.networks.get(node.name, frozenset()),
        )
        for node in nodes
    ]
    fleet = session.fleet(membership)
    answers = session.beforehand(fleet, requests)
    had = {answer.name for answer in answers}
    left = [request for request in requests if request.name not in had]
    answers += observe(fleet, left, timeout=session.settings.timeouts.observe)
    if first:
        session.asked = tuple(requests)
    pinned = {node.name: node for node in situation.nodes}
    return tuple(
        _as_pinned(with_version(answer, versioned.get(answer.name)), pinned[answer.name])
        for answer in sorted(answers, key=lambda answer: answer.name)
    )


def _known_versions(session: Session) -> dict[str, Facts]:
    """What the store says of nodes whose runtime, and its version, it knows."""
    return {
        record.node.name: record.facts
        for record in session.store.nodes()
        if record.facts is not None and record.facts.runtime_version and record.facts.runtime == record.node.runtime
    }


def with_version(answer: Observation, before: Facts | None) -> Observation:
    """The answer, with the version that the same runtime had before where it was not asked for."""
    if before is None or not isinstance(answer, ObservedNode):
        return answer
    facts = answer.facts
    if facts.runtime_version or (facts.runtime, facts.user) != (before.runtime, before.user):
        return answer
    known = replace(facts, runtime_version=before.runtime_version, rootless=before.rootless)
    return replace(answer, facts=known)


def _request(
    situation: Situation,
    node: Node,
    wiring: WiringRequest | None,
    images: tuple[str, ...],
    *,
    version: bool,
    closely: bool,
    usage: bool,
    containers: tuple[str, ...],
    there: frozenset[str],
) -> NodeRequest:
    """`there`: networks that the node had; what is to go on being seen until it is removed is asked for by nobody."""
    networks: set[str] = set()
    volumes: set[str] = set()
    placed = {
        (placement.stack, placement.service) for placement in situation.memory.placements if placement.node == node.name
    }
    for stack in situation.stacks:
        for service in stack.revision.spec.services:
            if (stack.revision.stack, service.name) in placed or node.name in stack.eligible_for(service.name):
                spec = service.container_on(node.name)
                networks.update(attachment.network for attachment in spec.networks)
                volumes.update(_volumes(situation, stack, service, node.name))
    closely = closely or not there <= networks
    return NodeRequest(
        name=node.name,
        cluster=situation.cluster,
        runtime=node.runtime,
        networks=tuple(sorted(networks)),
        volumes=tuple(sorted(volumes)),
        images=images,
        version=version,
        stray_networks=version or closely,
        usage=usage,
        containers=() if closely else containers,
        wiring=wiring,
        stray_volumes=version
        or bool(situation.remove_volumes)
        or any(volume.node == node.name for volume in situation.memory.volumes),
        restarted=any(each.active and each.key in placed for each in situation.memory.rollouts),
    )


def _volumes(situation: Situation, stack: DesiredStack, service: ServiceSpec, node: str) -> set[str]:
    """Full names of what a service mounts on a node; where each replica has its own, of all that may come there."""
    if not service.per_replica:
        return set(storage.used(service.container_on(node)))
    name, eligible = stack.revision.stack, stack.eligible_for(service.name)
    placed = {each.slot for each in situation.memory.placements if (each.stack, each.service) == (name, service.name)}
    most = len(eligible) if service.mode == "global" else service.replicas
    if service.autoscale is not None:
        most = service.autoscale.most
    slots = {*placed, *range(1, most + 1)}
    return {volume for slot in slots for volume in storage.used(service.container_for(node, slot))}


def look_closer(session: Session, membership: Membership, situation: Situation) -> Situation:
    """A pass that changes nothing need not know which images are where; one that would fetch some looks first.

    Likewise with the details of the cluster's network, where a node should have something else than it had.
    """
    wanted: dict[str, set[str]] = {}
    decided = plan.plan(situation, waves=1)
    for action in decided.actions:
        if isinstance(action.step, PullImage | LoadHolder):
            image = action.step.image if isinstance(action.step, PullImage) else HOLDER
            wanted.setdefault(action.node, set()).add(image)
    for node, image in _local_images(situation, decided):
        wanted.setdefault(node, set()).add(image)
    if not wanted and not decided.inspect:
        session.planned = (situation, decided)
        return situation
    again = [node for node in situation.nodes if node.name in wanted or node.name in decided.inspect]
    asked = _ask(session, membership, situation, again, wanted, details=decided.inspect)
    answers = {answer.name: stocked(session, answer) for answer in asked}
    seen = {name: answer for name, answer in answers.items() if isinstance(answer, ObservedNode)}
    there = {name: frozenset(each.name for each in answer.networks) for name, answer in seen.items()}
    session.networks = {**session.networks, **there}
    return replace(situation, observed=tuple(_again(answer, answers) for answer in situation.observed))


def with_details(session: Session, membership: Membership, situation: Situation) -> Situation:
    """The situation with the details of the cluster's network from the nodes where the plan depends on them.

    For a plan that is only shown; passes look closer by themselves.
    """
    nodes = plan.plan(situation, waves=1).inspect
    if not nodes:
        return situation
    again = [node for node in situation.nodes if node.name in nodes]
    answers = {answer.name: answer for answer in _ask(session, membership, situation, again, {}, details=nodes)}
    before: dict[str, Observation] = {answer.name: answer for answer in situation.observed}
    for name, answer in answers.items():
        known = before[name]
        if isinstance(answer, ObservedNode) and isinstance(known, ObservedNode):
            # who is on a bridge is compared with who runs: both are of one look
            before[name] = replace(
                known, containers=answer.containers, wiring=answer.wiring, all_networks=answer.all_networks
            )
        else:
            before[name] = answer
    return replace(situation, observed=tuple(before.values()))


def planned(session: Session, situation: Situation) -> Plan:
    """One wave of a plan for what was seen: that by which looking closer was decided, where nothing changed since."""
    known = session.planned
    session.planned = None
    return known[1] if known is not None and known[0] is situation else plan.plan(situation, waves=1)


def _again(before: Observation, answers: Mapping[str, Observation]) -> Observation:
    """The second answer, where there is one, with what only the first was asked for."""
    answer = answers.get(before.name, before)
    if isinstance(answer, ObservedNode) and isinstance(before, ObservedNode):
        return replace(answer, usage=before.usage)
    return answer


def stocked(session: Session, answer: Observation) -> Observation:
    """The answer, with the images that the node was found to have earlier in this run: one is not asked for twice.

    Whoever removes one meanwhile makes a container fail, and after a failure nothing of before is believed.
    """
    if not isinstance(answer, ObservedNode):
        return answer
    images = {**session.images.get(answer.name, {}), **{image.reference: image for image in answer.images}}
    session.images[answer.name] = images
    return replace(answer, images=tuple(image for _, image in sorted(images.items()))) if images else answer


def _local_images(situation: Situation, decided: Plan) -> list[tuple[str, str]]:
    """Nodes, and images known by id alone: these are never pulled, so only asking tells that they are there."""
    missing = {blocked.target for blocked in decided.blocked if blocked.reason == "ImageMissing"}
    heads = {stack.revision.stack: stack.revision for stack in situation.stacks}
    older = {(revision.stack, revision.number): revision for revision in situation.history}
    found = []
    for placed in decided.memory.placements:
        if f"{placed.stack}/{placed.service}.{placed.slot}" in missing:
            revision = older.get((placed.stack, placed.revision)) or heads.get(placed.stack)
            service = revision.spec.service(placed.service) if revision is not None else None
            if service is not None:
                found += [(placed.node, each.image) for each in service.container_on(placed.node).containers()]
    return found


def _as_pinned(answer: Observation, node: Node) -> Observation:
    """A node that is reached as another user, or through another runtime, is another node: shown, not acted on."""
    if not isinstance(answer, ObservedNode):
        return answer
    for what, now, before in (
        ("user", answer.facts.user, node.user),
        ("runtime", answer.facts.runtime, node.runtime),
    ):
        if before and now and now != before:
            return Silent(
                name=node.name,
                connected=True,
                kind=f"{what.capitalize()}Changed",
                message=f"its {what} is {now}, and was {before} at first contact: its containers are not in sight",
                hint=f"`shipyard nodes repin {node.name}` accepts the change",
            )
    return answer


def _check_identity(session: Session, situation: Situation) -> None:
    names: dict[str, str] = {}
    known = {node.node_id: node.name for node in situation.nodes if node.node_id}
    heads = session.store.heads()
    for node in situation.seen().values():
        if node.owner and node.owner != session.store.uuid:
            raise Refused(
                node.name,
                f"belongs to another store ({node.owner}); this one is {session.store.uuid}",
                hint="if that store is lost, `shipyard state rebuild` reads the fleet's state back from its nodes",
            )
        if node.others and not session.cluster_chosen and not heads:
            others = ", ".join(cluster for cluster, _ in node.others)
            raise Refused(
                node.name,
                f"belongs to the cluster {others} already, whose store this new one is not",
                hint="if that store is lost, `shipyard state rebuild` reads its state back from the nodes; "
                f'for a second cluster beside it, write cluster = "{session.store.cluster}" into shipyard.toml',
            )
        identity = node.facts.node_id
        if identity and identity in names:
            raise ShipyardError(
                f"{names[identity]} and {node.name} are one and the same node (node id {identity})",
                hint="leave one of the two names in the inventory",
            )
        was = known.get(identity, node.name)
        if was != node.name:
            raise ShipyardError(
                f"{node.name} answers as {was}, by its node id ({identity}): were their addresses exchanged?",
                hint="put their addresses right in the inventory; where the machines were really exchanged, "
                f"`shipyard nodes repin {was}` and `shipyard nodes repin {node.name}` accept it",
            )
        if identity:
            names[identity] = node.name


def remember_nodes(session: Session, membership: Membership, situation: Situation) -> None:
    """Keep what was learnt of the nodes: runtime and user are pinned at first contact."""
    stored = {record.node.name: record for record in session.store.nodes()}
    changed = []
    for node in situation.nodes:
        before, seen = stored.get(node.name), situation.seen().get(node.name)
        facts = seen.facts if seen is not None else before.facts if before is not None else None
        lasting = replace(facts, clock=0.0, uptime=0.0) if facts is not None else None
        record = StoredNode(
            node=_pinned(node, seen),
            connection=replace(membership.connections[node.name], password=None),
            first_seen=before.first_seen if before is not None else situation.now,
            facts=lasting,
        )
        if before is None or _lasting(before) != _lasting(record):
            changed.append(record)
    if changed:
        session.store.save_nodes(changed)


def revive(session: Session, situation: Situation) -> Situation:
    """A node that answers is not dead, whatever was said of it."""
    seen = situation.seen()
    revived = {node.name: replace(node, dead=False) for node in situation.nodes if node.dead and node.name in seen}
    if not revived:
        return situation
    for node in revived.values():
        session.store.decide(node)
    return replace(situation, nodes=tuple(revived.get(node.name, node) for node in situation.nodes))


def _pinned(node: Node, seen: ObservedNode | None) -> Node:
    if seen is None:
        return node
    facts = seen.facts
    return replace(
        node,
        runtime=facts.runtime or node.runtime,
        user=node.user or facts.user or None,
        node_id=facts.node_id or node.node_id,
    )


def _lasting(record: StoredNode) -> StoredNode:
    become = record.connection.become
    connection = replace(
        record.connection, password=None, become=replace(become, password=None) if become is not None else None
    )
    return replace(record, connection=connection, first_seen=0.0)
