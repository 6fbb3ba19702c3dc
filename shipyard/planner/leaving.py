"""Who waits for what leaves a node: a port, or room, that is given to a new container is free once the old one is gone.

Within a wave all that goes from a node goes before anything starts there. But what serves may finish first
(`network.draining`), for some passes: so long, whoever is to have its port or, on a full node, its room stays away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from shipyard.base.record import Struct
from shipyard.model import labels
from shipyard.model.container import Port
from shipyard.model.observed import Container
from shipyard.model.plan import CreateContainer, RemoveContainer
from shipyard.model.spec import ServiceSpec
from shipyard.planner import groups
from shipyard.planner.scheduling import Ledger
from shipyard.planner.scheduling.capacity import Demand, Used, demand, shortage
from shipyard.planner.scheduling.ledger import clash, published
from shipyard.planner.wave import Draft, Phase
from shipyard.planner.world import World, slot_of


class _Going(Struct, frozen=True):
    """A container that is removed, of a replica that has no place on the node any more.

    `ports`: what it publishes; None where nobody knows what it was made from.
    """

    draft: Draft
    ports: tuple[Port, ...] | None
    takes: Demand


def wait(world: World, ledger: Ledger) -> None:
    """Let what is made need what leaves. Once all of it is drafted."""
    _go_on_leaving(world, ledger)
    made, removed = defaultdict[str, list[Draft]](list), defaultdict[str, list[Draft]](list)
    for draft in world.wave.drafts:
        if isinstance(draft.step, CreateContainer):
            made[draft.node].append(draft)
        elif isinstance(draft.step, RemoveContainer):
            removed[draft.node].append(draft)
    for node in sorted(made.keys() & removed.keys()):
        going = list(_going(world, ledger, node, removed[node]))
        full = _full(ledger, node, [each.takes for each in going])
        for draft in made[node]:
            if isinstance(draft.step, CreateContainer):
                wanted = [port for port in draft.step.spec.ports if port.published is not None]
                room = full and _takes_room(ledger, draft.step)
                first = [each.draft for each in going if _in_the_way(each, wanted, room=room)]
                draft.needs = (*draft.needs, *(need for need in first if need not in draft.needs))


def _takes_room(ledger: Ledger, step: CreateContainer) -> bool:
    said = dict(step.labels)
    _, service = ledger.services.get((said.get(labels.STACK, ""), said.get(labels.SERVICE, "")), (None, None))
    return service is None or demand(service) != Demand()


def _in_the_way(going: _Going, wanted: Sequence[Port], *, room: bool) -> bool:
    if room and going.takes != Demand():
        return True
    if going.ports is None:
        return bool(wanted)
    return any(clash(port, mine) for port in going.ports for mine in wanted)


def _going(world: World, ledger: Ledger, node: str, removed: Sequence[Draft]) -> Iterator[_Going]:
    there = {box.id: box for box in world.seen[node].containers}
    placed = ledger.on(node).slots
    for draft in removed:
        box = there.get(getattr(draft.step, "id", ""))
        key = slot_of(box) if box is not None else None
        if box is None or key is None or key in placed:
            continue  # whoever follows it in its own place waits for it already
        service = _made_from(world, box)
        ports = None if service is None else tuple(published(service, node))
        counts = service is not None and not groups.role_of(box)  # once for a replica of several containers
        yield _Going(draft, ports, demand(service) if service is not None and counts else Demand())


def _made_from(world: World, box: Container) -> ServiceSpec | None:
    key = slot_of(box)
    made = world.made_from(key, box) if key is not None else None
    return made[1] if made is not None else None


def _full(ledger: Ledger, node: str, more: Sequence[Demand]) -> bool:
    """Whether a node has not enough for what is placed there and for these."""
    load = ledger.on(node)
    used = Used(load.used.cpus, load.used.memory, dict(load.used.devices))
    for each in more:
        if shortage(each, used, load.offers) is not None:
            return True
        used.change(each, load.offers, 1)
    return False


def _go_on_leaving(world: World, ledger: Ledger) -> None:
    """Who was sent away from a full node goes on leaving it, whether its successor elsewhere is ready or not."""
    leaving = {
        (draft.node, getattr(draft.step, "id", "")) for draft in world.wave.drafts if draft.phase == Phase.REMOVE
    }
    for known in sorted(world.net.draining.values(), key=lambda each: each.container):
        node = known.node
        if node not in world.seen or not world.wave.may_act(node):
            continue
        box = next((each for each in world.seen[node].containers if each.name == known.container), None)
        key = slot_of(box) if box is not None else None
        placement = world.placements.get(key) if key is not None else None
        if box is None or key is None or placement is None or placement.node == node or (node, box.id) in leaving:
            continue
        service = _made_from(world, box)
        if service is not None and _full(ledger, node, [demand(service)]):
            whole = next((each for where, each in world.containers.get(key, ()) if where == node), box)
            step = RemoveContainer(whole.id, whole.name, service.container_on(node).stop_grace_period)
            detail = "it had to make room for others"
            world.wave.add(node, Phase.REMOVE, f"{key[0]}/{key[1]}.{key[2]}", "Evicted", detail, step)
