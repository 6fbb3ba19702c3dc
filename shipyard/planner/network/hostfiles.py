"""Which hosts file each container of a node should have, and the step that writes those that differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import attrgetter

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.observed import Container
from shipyard.model.plan import CreateContainer, Waiting, WriteHosts
from shipyard.model.wire import ObservedWiring
from shipyard.planner import groups
from shipyard.planner.network import dual, endpoints, hosts
from shipyard.planner.network.book import gateway_of
from shipyard.planner.network.mesh import TARGET, Mesh
from shipyard.planner.wave import Phase
from shipyard.planner.world import World, slot_of


def write(
    world: World, state: Mesh, node: str, wiring: ObservedWiring, found: hosts.Directory, held_back: Waiting | None
) -> bool:
    """Plan a step that writes those that are not as they should be; a container that is made now has its own first.

    `held_back`: they could not be written a moment ago, so only what is made now is tried again.
    Returns whether all are as they should be.
    """
    wanted = [replace(each, beside=dual.beside(world, state, each.addresses)) for each in _wanted_hosts(world, node)]
    whole = hosts.compose(wanted, found)
    there = dict(wiring.files)
    changed = [file for file in whole.files if there.get(file.container) != whole.digest(file)]
    kept = {file.container for file in whole.files} | {
        box.name.partition(".")[0] for box in world.seen[node].containers if slot_of(box) is not None
    }
    drop = tuple(sorted(name for name in there if name not in kept))
    if not changed and not drop:
        return True
    if held_back and all(file.container in there for file in changed):
        if held_back not in world.wave.waiting:
            world.wave.waiting.append(held_back)
        return False
    used = sorted({file.shared for file in changed})
    files = tuple(replace(file, shared=used.index(file.shared)) for file in changed)
    step = WriteHosts(tuple(whole.shared[index] for index in used), files, drop)
    new = [file.container for file in changed if file.container not in there]
    stale = [file.container for file in changed if file.container in there]
    said = []
    if stale:
        said.append(f"hosts file of {', '.join(stale[:3])}{' …' if len(stale) > 3 else ''} is not as it should be")
    if new:
        said.append(
            f"{', '.join(new[:3])}{' …' if len(new) > 3 else ''} {'have' if len(new) > 1 else 'has'} no hosts file yet"
        )
    if drop:
        said.append(f"{len(drop)} hosts file{'s' if len(drop) > 1 else ''} of nobody")
    draft = world.wave.add(node, Phase.WIRE, TARGET, "Names", f"{'; '.join(said)} on {node}", step)
    draft.routine = not stale
    for each in world.wave.drafts:
        if each.node == node and isinstance(each.step, CreateContainer) and each.step.name.partition(".")[0] in new:
            each.needs = (*each.needs, draft)
    return False


def _wanted_hosts(world: World, node: str) -> Iterator[hosts.Wanted]:
    """Of containers that are there, and of those that are made now; in the order of their names."""
    wanted: dict[str, hosts.Wanted] = {}
    for box in groups.as_one(box for box in world.seen[node].containers if slot_of(box) is not None):
        made = _file_of(world, node, box)
        if made is not None:
            wanted[made.container] = made
    for draft in world.wave.drafts:
        step = draft.step
        if draft.node == node and isinstance(step, CreateContainer) and (step.spec.hosts or step.spec.networks):
            name, _, member = step.name.partition(".")
            addresses = tuple((each.network, each.ipv4_address or "") for each in step.spec.networks)
            mine = tuple(each for each in addresses if each[0] in world.spanning)
            if mine and (not member or name not in wanted):
                gateway = _gateway(world, node, mine[0][0])
                spec = step.spec
                called = _called(world, dict(step.labels))
                wanted[name] = hosts.Wanted(node, name, spec, mine, hosts.hostname_of(spec, name), gateway, called)
    yield from sorted(wanted.values(), key=attrgetter("container"))


def _called(world: World, said: Mapping[str, str]) -> tuple[str, ...]:
    """The full names of a replica that is made now, by its labels."""
    service = world.service(said.get(labels.STACK, ""), said.get(labels.SERVICE, ""))
    slot = said.get(labels.SLOT, "")
    return hosts.full_names(service, int(slot)) if service is not None and slot.isdigit() else ()


def _file_of(world: World, node: str, box: Container) -> hosts.Wanted | None:
    key = slot_of(box)
    service = world.service(*key[:2]) if key is not None else None
    if key is None or service is None or not service.container.hosts:
        return None
    spec = service.container_for(node, key[2])
    networks = tuple(each.network for each in spec.networks)
    there = dict(endpoints.addresses_of(box, world.spanning))
    addresses = tuple((network, there[network]) for network in networks if network in there)
    if not addresses:
        return None
    gateway = _gateway(world, node, addresses[0][0])
    name = box.name.partition(".")[0]
    called = hosts.full_names(service, key[2])
    return hosts.Wanted(node, name, spec, addresses, hosts.hostname_of(spec, name), gateway, called)


def _gateway(world: World, node: str, network: str) -> str:
    block = world.net.blocks.get(network, {}).get(node)
    return gateway_of(block) if block is not None else ""
