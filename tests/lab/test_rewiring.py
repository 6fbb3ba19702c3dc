"""Every way to damage a network by hand: seen broken, named by the plan as just that, mended by one pass."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.fleet import Fleet
from tests.lab.networked import always_asked, clients, from_outside, shop

NODE = "node1"


@dataclass(frozen=True, slots=True)
class Damage:
    """`script`: what breaks it on a node, with the variables of `_names`. `words`: the plan says so.

    `seen`: how it is broken: "inside" a client can't reach the service, from "outside" the port does not answer, ""
    where it does not show at once. `node`: where.
    """

    what: str
    script: str
    words: str
    seen: str = "inside"
    node: str = NODE


DAMAGES = (
    Damage("a route", "ip route del $PEER_BLOCK", "route to node2's block of shop_default is missing"),
    Damage("all routes", "ip route flush proto 190", "route to node2's block of shop_default is missing"),
    Damage("a route elsewhere", "ip route replace $PEER_BLOCK dev lo proto 190", "instead of"),
    Damage("the tunnel's link", "ip link del $VXLAN", "which leads to the other nodes, is missing"),
    Damage("the tunnel is down", "ip link set $VXLAN down", "which leads to the other nodes"),
    Damage("the tunnel's MTU", "ip link set $VXLAN mtu 600", "has mtu 600 instead of 1450", ""),
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
    Damage(
        "what bridges ask",
        "sysctl -qw net.bridge.bridge-nf-call-iptables=1",
        "setting net.bridge.bridge-nf-call-iptables is `1` instead of `0`",
        "",
    ),
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
    Damage("the bridge's MTU", "ip link set $BRIDGE mtu 900", "bridge of shop_default has mtu 900", ""),
    Damage("the bridge's address", "ip address flush dev $BRIDGE", "bridge of shop_default has ip none"),
    Damage("what boots", "echo exit >$FOLDER/net/up", "what brings the network back at boot is out of date", ""),
    Damage("nothing boots", "rm $FOLDER/net/up", "nothing brings it back at boot", ""),
    Damage(
        "a route too many",
        "ip route add 10.209.255.0/26 dev $VXLAN proto 190",
        "nothing needs the route 10.209.255.0/26",
        "",
    ),
    Damage(
        "the leave to pass",
        # docker forbids the rest where it switched forwarding on, and not where that was on before it started
        "iptables -P FORWARD DROP; for c in DOCKER-USER FORWARD; do"
        " iptables -D $c -m mark --mark 0x200000/0x200000 -j ACCEPT || :; done",
        "rule that lets pass what ours let pass is missing",
        "outside",
        "node3",
    ),
    Damage("off its network", "$RUNTIME network disconnect shop_default $CLIENT", "not on shop_default"),
    # last: the runtime's own rules go with it, and it takes no container off a network without them
    Damage("all rules of the node", "nft flush ruleset", "the rules are gone"),
)


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
        BRIDGE=$(case $RUNTIME in
            podman) podman network inspect --format '{{{{.NetworkInterface}}}}' shop_default ;;
            *) docker network inspect --format '{{{{index .Options "com.docker.network.bridge.name"}}}}' shop_default ;;
        esac)
    """


def _broken(fleet: Fleet, damage: Damage, client: str) -> str:
    """What is not as it should be, as those who use it see it."""
    if damage.seen == "outside":
        # a port leads to any replica by chance, and what is damaged may hold up only those on other nodes
        return "" if all(from_outside(fleet, damage.node) for _ in range(20)) else "the port does not answer"
    url = "http://web:8080/name"
    return "" if always_asked(fleet, damage.node, url, client=client) else "the service does not answer"


def test_every_damage_is_seen_named_and_mended(fleet: Fleet) -> None:
    assert len(DAMAGES) >= 25
    fleet.write("shop.yml", shop())
    fleet.shipyard("apply", "shop.yml").expect(0)
    wrong: list[str] = []
    boxes = clients(fleet)  # which are never made anew, or what they are called would not be found
    for damage in DAMAGES:
        client = boxes[damage.node]
        fleet.run(damage.node, "sh", "-c", _names(fleet, damage.node, client) + damage.script)
        seen = _broken(fleet, damage, client)
        if bool(seen) != bool(damage.seen):
            wrong.append(f"{damage.what}: it was to be seen {damage.seen or 'nowhere'}, found {seen or 'nothing'}")
        plan = fleet.shipyard("plan", "shop.yml")
        planned = [line for line in plan.stdout.splitlines() if "arm-revert" not in line]
        if not any(damage.words in line for line in planned):
            wrong.append(f"{damage.what}: the plan does not say {damage.words!r}: {plan.stdout}")
        # who is off a network is out of its addresses on every node, until it is back
        others = [line for line in planned if line[:3].strip() and " Endpoints: " not in line]
        elsewhere = [line for line in others if " node" in line and f" {damage.node} " not in line]
        if elsewhere:
            wrong.append(f"{damage.what}: more than that is planned: {elsewhere}")
        mended = fleet.shipyard("reconcile")
        if mended.code:
            wrong.append(f"{damage.what}: exit {mended.code}: {mended.stdout}{mended.stderr}")
        if left := _broken(fleet, damage, client):
            wrong.append(f"{damage.what}: after a pass {left}")
        if "Nothing to do" not in (again := fleet.shipyard("reconcile", "--once")).stdout:
            wrong.append(f"{damage.what}: not all is mended: {again.stdout}")
    assert not wrong, "\n".join(wrong)
