"""How a node reaches a container on it: the address behind which an http or tcp probe finds its port.

Probes run from the node's own network namespace, by a channel forwarded through the node's sshd. Networks that live
in another one (a rootless runtime's, macvlan, ipvlan) can't be entered from there, except by a published port.
"""

from __future__ import annotations

from shipyard.base.record import Struct
from shipyard.model.container import ContainerSpec, Probe
from shipyard.model.observed import Container, ObservedNode

NODE_ITSELF = "127.0.0.1"
_APART = ("macvlan", "ipvlan")


class Way(Struct, frozen=True):
    """`obstacle`: why there is none, "" where there is."""

    address: str = ""
    port: int = 0
    obstacle: str = ""


def way(spec: ContainerSpec, node: ObservedNode, box: Container, probe: Probe) -> Way:
    """To where a probe connects. `exec` goes through the runtime, and needs none."""
    if probe.kind == "exec" or probe.port is None:
        return Way()
    if probe.host is not None:
        return Way(probe.host, probe.port)
    if spec.network_mode == "host":
        return Way(NODE_ITSELF, probe.port)
    if spec.network_mode == "none":
        return Way(obstacle="it is on no network; only exec probes can be")
    if node.facts.rootless:
        return _published(spec, probe.port)
    drivers = {network.name: network.driver for network in node.networks}
    for each in box.networks:
        if each.ipv4_address and drivers.get(each.network) not in _APART:
            return Way(each.ipv4_address, probe.port)
    return Way(obstacle=f"{node.name} itself has no way into its networks; an exec probe needs none")


def _published(spec: ContainerSpec, port: int) -> Way:
    for each in spec.ports:
        if each.target == port and each.protocol == "tcp" and each.published is not None:
            address = each.address if each.address not in (None, "0.0.0.0") else NODE_ITSELF
            return Way(address or NODE_ITSELF, each.published)
    return Way(obstacle=f"a rootless runtime's networks can't be entered: publish port {port}, or use an exec probe")
