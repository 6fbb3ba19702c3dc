"""Networks that span nodes and have IPv6 beside IPv4: which nodes can be on them, and what each pass says of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shipyard.base.record import replace
from shipyard.model.netbook import Wired
from shipyard.model.observed import ObservedNode
from shipyard.model.spec import NetworkSpec
from shipyard.model.wire import Item
from shipyard.planner.network import rules6, six
from shipyard.planner.network.choosing import incapable_of_six
from shipyard.planner.network.mesh import Mesh
from shipyard.planner.network.rules import Guard, Network
from shipyard.planner.world import World


def networks(world: World) -> frozenset[str]:
    """Full names of those networks."""
    return frozenset(name for name, (_, spec) in world.spanning.items() if spec.enable_ipv6)


def problem_of(world: World, network: NetworkSpec, seen: ObservedNode) -> tuple[str, str] | None:
    """Why a node can't take part in such a network, as a word and a sentence."""
    if seen.wiring is None:
        return None
    hint = f"; without enable_ipv6 {network.name} has IPv4 alone"
    if why := incapable_of_six(seen):
        return "NetworkNotPossible", why + hint
    known = world.net.nodes.get(seen.name)
    if network.driver == "routed" and known is not None and not known.link:
        why = f"{known.device} of {seen.name} has no link-local address of IPv6, by which the others' routes could lead"
        return "NetworkNotPossible", f"{why} to its containers; driver: vxlan needs none{hint}"
    ours = six.whole(world.situation.ranges.containers6)
    for destination, words in seen.wiring.routes6:
        if ours.overlaps(six.whole(destination)):
            detail = f"{ours} (network.containers6 in shipyard.toml) collides with the route {destination} {words}"
            return "RangeCollides", f"{detail} on {seen.name}; choose another range"
    return None


def rules_of(world: World, table: str, across: Iterable[Network], guards: Sequence[Guard]) -> str:
    """The text that nodes on such networks load after their other rules."""
    dual = networks(world)
    mine = tuple(each for each in across if each.name in dual)
    return rules6.text(rules6.Beside(table, world.situation.ranges, mine, tuple(guards)))


def known_of(known: Wired, takes_part: bool, there: Sequence[Item] | None) -> Wired:
    """What is remembered of a node: that there is something of IPv6, until nothing of it is left."""
    left = there is None or any(_of_six(item) for item in there)
    return replace(known, six=takes_part or (known.six and left))


def _of_six(item: Item) -> bool:
    by_key = item.kind in ("address", "neighbour", "route") and six.is_six(item.key.split()[-1])
    return by_key or (item.kind, item.key) == ("accept", "forward6")


def beside(world: World, state: Mesh, attached: Sequence[tuple[str, str]]) -> str:
    """The address of IPv6 by which a container is called: that on the first of its networks, "" where it has none."""
    for network, address in attached[:1]:
        if network in state.dual:
            return six.address_of(world.situation.ranges, address)
    return ""
