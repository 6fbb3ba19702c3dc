"""All that a plan is made from: the planner's one argument, and the source of the status."""

from __future__ import annotations

from shipyard.base.record import Struct
from shipyard.model.memory import Memory
from shipyard.model.node import Node
from shipyard.model.observed import Observation, ObservedNode
from shipyard.model.probing import Tried
from shipyard.model.spec import Revision


class Timing(Struct, frozen=True):
    """Seconds, with Kubernetes' defaults.

    `unreachable_after`: of silence and at least two misses; `lost_after`: more than that. `miss_gap`: silence
    counts only between misses at most this far apart. `backoff`, `backoff_max`, `backoff_reset`: crash back-off.
    `brake`: when this share of nodes (two at least) stops answering at once, nothing moves. `move_share`: of the
    nodes (one at least), whose work is moved in any five minutes once they are lost.
    """

    unreachable_after: float = 40.0
    lost_after: float = 300.0
    miss_gap: float = 120.0
    backoff: float = 10.0
    backoff_max: float = 300.0
    backoff_reset: float = 600.0
    brake: float = 0.55
    move_share: float = 0.05


class Ranges(Struct, frozen=True):
    """Addresses of the cluster's network. `containers`: cut into blocks of `block` bits for networks and nodes.

    `services`: service addresses. `vxlan_port`, `wireguard_port`: the UDP ports of the nodes that the drivers use.
    `containers6`: of IPv6, 96 bits long at most; its addresses end with those of `containers` that they are beside.
    """

    containers: str = "10.208.0.0/12"
    services: str = "10.224.0.0/16"
    block: int = 26
    vxlan_port: int = 4789
    wireguard_port: int = 51820
    containers6: str = "fd6e:3a94:51c2::/48"


class DesiredStack(Struct, frozen=True):
    """A stack's newest revision. `eligible`: for each service, sorted, the nodes its play's pattern matches, sorted.

    `removing`: the stack was removed (`rm`); its revision's spec is what it was, and nothing of it should be left.
    `stored`: the revision as it is stored, where autoscaling made `revision` differ from it in numbers of replicas.
    """

    revision: Revision
    eligible: tuple[tuple[str, tuple[str, ...]], ...] = ()
    removing: bool = False
    stored: Revision | None = None

    def eligible_for(self, service: str) -> tuple[str, ...]:
        """Names of the nodes that this service's pattern matches."""
        return next((nodes for name, nodes in self.eligible if name == service), ())


class Lacking(Struct, frozen=True):
    """A host that joined, and a service that has values for each host, but none for this one. `why`: and what to do."""

    stack: str
    service: str
    node: str
    why: str


class Situation(Struct, frozen=True):
    """`nodes`, `stacks`, `observed`: sorted by name. `limit`: nodes that may be acted on; None for all.

    `observed` has one entry for each node that was asked in this pass; a node not asked (outside `limit`) has none.
    `history`: older revisions that replicas still follow, or an update can go back to. `foresight`: this is a later
    wave of a plan, for which whatever only takes time (a watch over new replicas, a delay) is believed to be over.
    `accept_empty`: full names of volumes that may begin anew (`--accept-empty`).
    `remove_volumes`: full names of volumes to remove (`rm --volumes`).
    `probed`: what the probes that were due came to. `ranges`: of the cluster's network.
    `lacking`: hosts that services can't go to for want of values.
    `asked`: when the nodes were asked; what they say is of that time, or of one between that and `now`.
    """

    cluster: str
    now: float
    nodes: tuple[Node, ...] = ()
    stacks: tuple[DesiredStack, ...] = ()
    observed: tuple[Observation, ...] = ()
    history: tuple[Revision, ...] = ()
    memory: Memory = Memory()
    limit: frozenset[str] | None = None
    foresight: bool = False
    accept_empty: frozenset[str] = frozenset()
    remove_volumes: frozenset[str] = frozenset()
    timing: Timing = Timing()
    probed: tuple[Tried, ...] = ()
    ranges: Ranges = Ranges()
    asked: float = 0.0
    lacking: tuple[Lacking, ...] = ()

    def seen(self) -> dict[str, ObservedNode]:
        """The nodes that answered, by name."""
        return {node.name: node for node in self.observed if isinstance(node, ObservedNode)}
