"""Every way to damage a network by hand: seen broken, named by the plan as just that, mended by one pass."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.fleet import Fleet
from tests.lab.networked import always_asked, clients, from_outside, planned_and_mended, shop

NODE = "node1"


@dataclass(frozen=True, slots=True)
class Damage:
    """`script`: what breaks it on a node, with the variables of `_names`. `words`: the plan says so.

    `seen`: how it is broken: "inside" a client can't reach the service, from "outside" the port does not answer, ""
    where nothing shows. `node`: where. `passes`: how many mend it.
    """

    what: str
    script: str
    words: str
    seen: str = "inside"
    node: str = NODE
    passes: int = 1


_DEVICE = (
    "index=$(nsenter -t $PID -n ip -o link show eth0 | sed 's/.*@if//; s/:.*//');"
    ' DEVICE=$(ip -o link | sed -n "s/^$index: \\([^@]*\\)@.*/\\1/p")'
)
"""The node's end of the client's device."""
DAMAGES = (
    Damage("a route", "ip route del $PEER_BLOCK", "route to node2's block of shop_default is missing"),
    Damage("all routes", "ip route flush proto 190", "route to node2's block of shop_default is missing"),
    Damage("a route elsewhere", "ip route replace $PEER_BLOCK dev lo proto 190", "instead of"),
    Damage("the tunnel's link", "ip link del $VXLAN", "which leads to the other nodes, is missing"),
    Damage("the tunnel is down", "ip link set $VXLAN down", "which leads to the other nodes"),
    Damage(
        "the tunnel's hardware address", "ip link set $VXLAN address 02:00:00:00:00:09", "has address 02:00:00:00:00:09"
    ),
    Damage("the tunnel's address", "ip address del $TUNNEL/32 dev $VXLAN", "this node's address on"),
    Damage(
        "the forwarding entries",
        "for m in $MACS; do bridge fdb del $m dev $VXLAN; done",
        "forwarding entry for node2 is missing",
    ),
    Damage(
        "a forwarding entry elsewhere",
        "for m in $MACS; do bridge fdb del $m dev $VXLAN; bridge fdb add $m dev $VXLAN dst 198.18.0.99; done",
        "forwarding entry for node2 is `198.18.0.99`",
    ),
    Damage("the neighbours", "ip neigh flush dev $VXLAN nud permanent", "neighbour entry for node2 is missing"),
    Damage(
        "a neighbour's hardware address",
        "for t in $TUNNELS; do ip neigh replace $t lladdr 02:00:00:00:00:08 dev $VXLAN nud permanent; done",
        "neighbour entry for node2 is `02:00:00:00:00:08`",
    ),
    Damage("the table", "nft delete table ip $TABLE", "the rules are gone", "outside"),
    Damage(
        "one chain's rules", "nft flush chain ip $TABLE sy_translate", "rules are not as they were loaded", "inside"
    ),
    Damage("one service's map", "nft flush map ip $TABLE sy_addresses", "rules are not as they were loaded", "address"),
    Damage("the ports' map", "nft flush map ip $TABLE sy_ports", "rules are not as they were loaded", "outside"),
    Damage("a rule more", "nft insert rule ip $TABLE sy_forward drop", "rules are not as they were loaded"),
    Damage("forwarding", "sysctl -qw net.ipv4.ip_forward=0", "setting net.ipv4.ip_forward is `0` instead of `1`"),
    Damage("a hosts file", "echo >$HOSTS", "hosts file of", "inside"),
    Damage(
        "names in a hosts file",
        "sed s/web/nobody/ $HOSTS >/tmp/h; cat /tmp/h >$HOSTS",
        "hosts file of",
    ),
    Damage(
        "the bridge's hardware address",
        "ip link set $BRIDGE address 02:00:00:00:00:07",
        "bridge of shop_default has address",
    ),
    Damage("a container's device off the bridge", f"{_DEVICE}; ip link set $DEVICE nomaster", "cut off the bridge"),
    Damage(
        "one on another bridge",
        f"{_DEVICE}; ip link set $DEVICE master $OTHER",
        "cut off the bridge",
        "inside",
        "node3",
    ),
    Damage("the bridge itself", "ip link del $BRIDGE", "bridge of shop_default is missing", "inside", "node3"),
    Damage("the bridge's address", "ip address flush dev $BRIDGE", "bridge of shop_default has ip none"),
    Damage(
        "the leave to pass",
        # docker forbids the rest where it switched forwarding on, and not where that was on before it started
        "iptables -P FORWARD DROP; for c in DOCKER-USER FORWARD; do"
        " iptables -D $c -m mark --mark 0x200000/0x200000 -j ACCEPT || :; done",
        "rule that lets pass what ours let pass is missing",
        "outside",
        "node3",
    ),
    # the bridge goes with the last of its containers, and is mended once there is one
    Damage("off its network", "$RUNTIME network disconnect shop_default $CLIENT", "not on shop_default", passes=2),
    # last: the runtime's own rules go with it, and it takes no container off a network without them
    Damage("all rules of the node", "nft flush ruleset", "the rules are gone"),
)
UNSEEN = (
    Damage("the tunnel's MTU", "ip link set $VXLAN mtu 600", "has mtu 600 instead of 1450", ""),
    Damage(
        "what bridges ask",
        "sysctl -qw net.bridge.bridge-nf-call-iptables=1",
        "setting net.bridge.bridge-nf-call-iptables is `1` instead of `0`",
        "",
    ),
    Damage("the bridge's MTU", "ip link set $BRIDGE mtu 900", "bridge of shop_default has mtu 900", ""),
    Damage("what boots", "echo exit >$FOLDER/net/up", "what brings the network back at boot is out of date", ""),
    Damage("nothing boots", "rm $FOLDER/net/up", "nothing brings it back at boot", "", "node2"),
    Damage(
        "a route too many",
        "ip route add 10.209.255.0/26 dev $VXLAN proto 190",
        "nothing needs the route 10.209.255.0/26",
        "",
    ),
)
"""What does not show at once, nor in what the plan says of another: all of it can be broken together."""


def _names(fleet: Fleet, node: str, client: str) -> str:
    runtime = fleet.runtime(node)
    return f"""
        FOLDER=$(echo /var/lib/shipyard/*); RUNTIME={runtime}; CLIENT={client}; HOSTS=$FOLDER/hosts/{client}
        TABLE=$(nft list tables | grep -o 'ip shipyard_.*' | cut -c4-)
        VXLAN=$(cd /sys/class/net; echo sy??????v)
        TUNNEL=$(ip -o -4 address show dev $VXLAN | awk '{{ sub("/.*", "", $4); print $4 }}')
        TUNNELS=$(ip -4 neigh show dev $VXLAN nud permanent | awk '{{ print $1 }}')
        MACS=$(bridge fdb show dev $VXLAN | awk '{{ print $1 }}')
        PEER_BLOCK=$(grep -o '10.209[0-9.]*/26 via [0-9.]*2 ' $FOLDER/net/up | head -n 1 | cut -d' ' -f1)
        PID=$($RUNTIME container inspect --format '{{{{.State.Pid}}}}' {client})
        BRIDGE=$(case $RUNTIME in
            podman) podman network inspect --format '{{{{.NetworkInterface}}}}' shop_default ;;
            *) docker network inspect --format '{{{{index .Options "com.docker.network.bridge.name"}}}}' shop_default ;;
        esac)
        OTHER=$(ls -d /sys/class/net/*/bridge | cut -d/ -f5 | grep -vx "$BRIDGE" | head -n 1)
    """


def _break(fleet: Fleet, damage: Damage, client: str) -> None:
    fleet.run(damage.node, "sh", "-c", _names(fleet, damage.node, client) + damage.script)


def _broken(fleet: Fleet, damage: Damage, client: str, *, seconds: int = 3) -> str:
    """What is not as it should be, as those who use it see it."""
    if damage.seen == "outside":
        # a port leads to any replica by chance, and what is damaged may hold up only those on other nodes
        answers = (from_outside(fleet, damage.node, seconds=seconds) for _ in range(20))
        return "" if all(answers) else "the port does not answer"
    reached = always_asked(fleet, damage.node, "http://web:8080/name", client=client, seconds=seconds)
    return "" if reached else "the service does not answer"


def test_every_damage_is_seen_named_and_mended(fleet: Fleet) -> None:
    assert len(DAMAGES) + len(UNSEEN) >= 25
    fleet.write("shop.yml", shop())
    fleet.shipyard("apply", "shop.yml").expect(0)
    boxes = clients(fleet)  # which are never made anew, or what they are called would not be found
    wrong = _not_mended_together(fleet, boxes)
    for damage in DAMAGES:
        client = boxes[damage.node]
        _break(fleet, damage, client)
        if not _broken(fleet, damage, client, seconds=1):
            wrong.append(f"{damage.what}: it was to be seen {damage.seen}, found nothing")
        planned, failed = planned_and_mended(fleet, passes=damage.passes)
        if not any(damage.words in line for line in planned):
            wrong.append(f"{damage.what}: the plan does not say {damage.words!r}: {planned}")
        # who is off a network is out of its addresses on every node, until it is back
        others = [line for line in planned if line[:3].strip() and " Endpoints: " not in line]
        elsewhere = [line for line in others if " node" in line and f" {damage.node} " not in line]
        if elsewhere:
            wrong.append(f"{damage.what}: more than that is planned: {elsewhere}")
        if failed:
            wrong.append(f"{damage.what}: {failed}")
        if left := _broken(fleet, damage, client):
            wrong.append(f"{damage.what}: after that {left}")
    fleet.shipyard("rm", "shop", "--yes").expect(0)
    for node in fleet.names:
        if left := fleet.run(node, "sh", "-c", "ls -d /sys/class/net/sy* 2>/dev/null || :"):
            wrong.append(f"left behind on {node}: {left}")
    assert not wrong, "\n".join(wrong)


def _not_mended_together(fleet: Fleet, boxes: dict[str, str]) -> list[str]:
    """What went wrong with all that does not show: each of it is a line of the plan, and nothing else is."""
    for damage in UNSEEN:
        _break(fleet, damage, boxes[damage.node])
    wrong = [
        f"{damage.what}: it was to be seen nowhere, found {seen}"
        for damage in {damage.node: damage for damage in UNSEEN}.values()
        if (seen := _broken(fleet, damage, boxes[damage.node]))
    ]
    planned, failed = planned_and_mended(fleet)
    lines = [line for line in planned if line[:3].strip()]
    for damage in UNSEEN:
        named = [line for line in lines if damage.words in line and f" {damage.node} " in line]
        if len(named) != 1:
            wrong.append(f"{damage.what}: the plan does not say {damage.words!r} once: {planned}")
        lines = [line for line in lines if line not in named]
    if lines:
        wrong.append(f"more than what does not show is planned: {lines}")
    return [*wrong, *([f"what does not show: {failed}"] if failed else [])]
