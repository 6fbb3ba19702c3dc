"""What a node would look like after an action that succeeds: how a plan sees beyond its first wave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.canonical import digest
from shipyard.model.image import HOLDER
from shipyard.model.observed import (
    Container,
    ContainerState,
    Health,
    HeldRevision,
    ObservedAttachment,
    ObservedImage,
    ObservedNetwork,
    ObservedNode,
    ObservedVolume,
)
from shipyard.model.plan import (
    Action,
    ArmRevert,
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DisconnectNetwork,
    DropFiles,
    DropItem,
    DropMarker,
    DropRevision,
    EnsureItem,
    KeepAvailability,
    KeepRevision,
    LeaveBoot,
    LoadHolder,
    LoadRules,
    MakeKey,
    PullImage,
    PutConfig,
    PutSecret,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    Step,
    StopContainer,
    UnpauseContainer,
    WriteHosts,
)
from shipyard.model.situation import Situation
from shipyard.model.wire import Item, ObservedWiring
from shipyard.planner.network.mesh import device_of


def assume(situation: Situation, actions: Sequence[Action]) -> Situation:
    """The situation after these actions, with no time passed: health checks and probes pass at once, jobs end well."""
    nodes = {answer.name: answer for answer in situation.observed}
    for action in actions:
        node = nodes[action.node]
        if isinstance(node, ObservedNode):
            nodes[action.node] = after(node, action.step)
    observed = tuple(
        _settled(nodes[answer.name]) if isinstance(answer, ObservedNode) else answer for answer in situation.observed
    )
    return replace(situation, observed=observed)


def _rewired(
    wiring: ObservedWiring, step: EnsureItem | DropItem | MakeKey | LoadRules | WriteHosts | LeaveBoot
) -> ObservedWiring:
    match step:
        case EnsureItem(item) if item.kind == "ports":
            return wiring
        case EnsureItem() | DropItem():
            others = [each for each in wiring.items or () if (each.kind, each.key) != (step.item.kind, step.item.key)]
            mended = (step.item,) if isinstance(step, EnsureItem) else ()
            if not mended and step.item.kind == "link":
                others = [each for each in others if device_of(each) != step.item.key]
            return replace(wiring, items=(*others, *mended))
        case LeaveBoot():
            others = [each for each in wiring.items or () if each.kind != "boot"]
            return replace(wiring, items=(*others, Item("boot", "up", step.digest)))
        case MakeKey():
            return replace(wiring, public_key="made")
        case LoadRules():
            return replace(wiring, loaded=step.digest, altered=())
        case WriteHosts():
            files = {name: found for name, found in wiring.files if name not in step.drop}
            files |= {each.container: step.digest(each) for each in step.files}
            return replace(wiring, files=tuple(sorted(files.items())))


def _settled(node: object) -> ObservedNode:
    assert isinstance(node, ObservedNode)
    well = tuple(_well(box) for box in node.containers)
    if node.wiring is not None and node.wiring.ports:
        # who is on a bridge by then is for the node to say
        node = replace(node, wiring=replace(node.wiring, ports=()))
    return node if well == node.containers else replace(node, containers=well)


def _well(box: Container) -> Container:
    """Healthy, or at its end where it is one that others wait for."""
    if box.label(labels.ROLE) == "init" and box.state == ContainerState.RUNNING:
        return replace(box, state=ContainerState.EXITED, exit_code=0, ended=0.0)
    return replace(box, health=Health.HEALTHY) if box.health in (Health.STARTING, Health.UNHEALTHY) else box


def after(node: ObservedNode, step: Step) -> ObservedNode:
    """The node once the step is done."""
    match step:
        case PullImage():
            return replace(node, images=(*node.images, ObservedImage(step.image, step.image)))
        case LoadHolder():
            return replace(node, images=(*node.images, ObservedImage(HOLDER, HOLDER)))
        case PutConfig():
            return replace(node, configs=tuple(sorted({*node.configs, step.mount.file_name})))
        case PutSecret():
            return replace(node, secrets=tuple(sorted({*node.secrets, step.mount.file_name})))
        case DropFiles(configs, secrets):
            kept = tuple(name for name in node.configs if name not in configs)
            return replace(node, configs=kept, secrets=tuple(name for name in node.secrets if name not in secrets))
        case CreateNetwork(network, said):
            made = ObservedNetwork(network.name, network.name, said, network.driver or "bridge")
            return replace(node, networks=(*node.networks, made))
        case RemoveNetwork():
            return replace(node, networks=tuple(net for net in node.networks if net.id != step.id))
        case CreateVolume(volume, said):
            return replace(node, volumes=(*node.volumes, ObservedVolume(volume.name, said)))
        case RemoveVolume():
            return replace(node, volumes=tuple(volume for volume in node.volumes if volume.name != step.name))
        case CreateContainer():
            markers = (*node.markers, step.once) if step.once else node.markers
            return replace(node, containers=(*node.containers, _created(step)), markers=markers)
        case StartContainer() | UnpauseContainer():
            return _change(node, step.id, state=ContainerState.RUNNING, age=0.0)
        case StopContainer():
            return _change(node, step.id, state=ContainerState.EXITED, ended=0.0)
        case RemoveContainer():
            return replace(node, containers=tuple(box for box in node.containers if box.id != step.id))
        case ConnectNetwork(identity, _, attachment):
            box = next((box for box in node.containers if box.id == identity), None)
            if box is None:
                return node
            others = tuple(there for there in box.networks if there.network != attachment.network)
            joined = ObservedAttachment(
                attachment.network, attachment.aliases, attachment.ipv4_address, None, attachment.ipv6_address
            )
            return _change(node, identity, networks=(*others, joined))
        case DisconnectNetwork(identity, _, network):
            box = next((box for box in node.containers if box.id == identity), None)
            left = tuple(there for there in box.networks if there.network != network) if box else ()
            return _change(node, identity, networks=left)
        case KeepRevision(stack, number, body_digest, _):
            held = tuple(there for there in node.revisions if there.stack != stack)
            return replace(node, revisions=(*held, HeldRevision(stack, number, body_digest)))
        case DropRevision():
            return replace(node, revisions=tuple(held for held in node.revisions if held.stack != step.stack))
        case KeepAvailability(availability, until):
            return replace(node, availability=availability, drain_until=until)
        case ArmRevert():
            return node
        case EnsureItem() | DropItem() | MakeKey() | LoadRules() | WriteHosts() | LeaveBoot():
            return replace(node, wiring=_rewired(node.wiring or ObservedWiring(), step))
        case DropMarker():
            return replace(node, markers=tuple(name for name in node.markers if name != step.name))
        case _:
            assert_never(step)


def _created(step: CreateContainer) -> Container:
    """What is begun once ends at once, and well; but for who holds the network of the others."""
    ends = bool(step.once) and dict(step.labels).get(labels.ROLE) != "holder"
    return Container(
        id=digest(step.name),
        name=step.name,
        state=ContainerState.EXITED if ends else ContainerState.RUNNING,
        exit_code=0 if ends else None,
        labels=step.labels,
        image=step.spec.image,
        age=0.0,
        anonymous=step.keep,
        files=step.spec.files(),
        networks=tuple(
            ObservedAttachment(
                attachment.network, attachment.aliases, attachment.ipv4_address, None, attachment.ipv6_address
            )
            for attachment in step.spec.networks
        ),
    )


def _change(node: ObservedNode, identity: str, **changes: object) -> ObservedNode:
    return replace(
        node,
        containers=tuple(
            replace(box, **changes) if box.id == identity else box  # type: ignore[arg-type]  # fields by keyword
            for box in node.containers
        ),
    )
