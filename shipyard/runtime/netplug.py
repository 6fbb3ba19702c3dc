"""How containers are put back on the bridge of their network: their devices are found from inside, by the address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Interface

from shipyard.base import shell
from shipyard.model.wire import Item
from shipyard.runtime import netitems, probing

PASSING = r"""
sy_net_passing() {
  sy_count=0
  for sy_file in "/sys/class/net/$1/brif"/*/state; do
    sy_state=0
    [ ! -e "$sy_file" ] || read -r sy_state <"$sy_file"
    # 0: the device, or its other end, is down
    [ "$sy_state" = 0 ] || sy_count=$((sy_count + 1))
  done
}
"""
"""Sets `sy_count`: how many of the devices on a bridge pass packets on. No process is started for it."""

_PLUG = r"""
sy_net_plug() {
  sy_pid=${sy_all#*"
$4 "}
  [ "$sy_pid" != "$sy_all" ] || return 0
  sy_pid=${sy_pid%%"
"*}
  sy_said=$(nsenter --target "$sy_pid" --net ip -o -4 address show to "$5/32") || return
  sy_said=${sy_said#*: }
  sy_inside=${sy_said%% *}
  [ -n "$sy_inside" ] || { echo "$4 no longer has its address $5 inside: restart its service" >&2; return 1; }
  sy_said=$(nsenter --target "$sy_pid" --net ip -o link show dev "$sy_inside") || return
  sy_index=${sy_said#*@if}
  sy_index=${sy_index%%:*}
  sy_veth=
  for sy_file in /sys/class/net/*/ifindex; do
    read -r sy_there <"$sy_file"
    [ "$sy_there" != "$sy_index" ] || { sy_veth=${sy_file%/ifindex}; sy_veth=${sy_veth##*/}; }
  done
  [ -n "$sy_veth" ] || { echo "the device of $4 is not on this node any more: restart its service" >&2; return 1; }
  sy_there=
  [ ! -e "/sys/class/net/$1/brif/$sy_veth/state" ] || read -r sy_there <"/sys/class/net/$1/brif/$sy_veth/state"
  [ "${sy_there:-0}" = 0 ] || return 0
  sy_done=1
  ip link set dev "$sy_veth" master "$1" up || return
  # on another bridge it was told another hardware address of the gateway
  nsenter --target "$sy_pid" --net ip neigh flush dev "$sy_inside" 2>/dev/null
  case $sy_said in *,UP,* | *",UP>"* | *"<UP,"*) return 0 ;; esac
  # with the device, the kernel took down what goes by it, and its addresses of IPv6
  nsenter --target "$sy_pid" --net ip link set dev "$sy_inside" up || return
  [ -n "$(nsenter --target "$sy_pid" --net ip -4 route show default)" ] ||
    nsenter --target "$sy_pid" --net ip route add default via "$2" || return
  [ "$6" != - ] || return 0
  nsenter --target "$sy_pid" --net ip -6 address replace "$6" dev "$sy_inside" nodad || return
  [ -n "$(nsenter --target "$sy_pid" --net ip -6 route show default)" ] ||
    nsenter --target "$sy_pid" --net ip -6 route add default via "$3" dev "$sy_inside"
}
sy_net_plugged() {
  [ -z "$sy_bad" ] || return
  [ -z "$sy_done" ] || return 0
  sy_net_passing "$1"
  set -- "$1" $sy_all
  [ "$sy_count" -ge $((($# - 1) / 2)) ] || {
    echo "each container has a device on $1, but only $sy_count pass packets on: restart the services" >&2
    return 1
  }
}
"""
"""`sy_net_plug BRIDGE GATEWAY GATEWAY6 NAME ADDRESS ADDRESS6/LENGTH`, `-` for none: does nothing where the container is
on the bridge, or runs no more. `sy_net_plugged BRIDGE`: whether something was done, or nothing was to do.
"""


def plug(item: Item, runtime: str) -> str:
    """Shell text that does it for every container of an item of kind `ports`. It fails where one is left off."""
    gateway, gateway6, *words = item.value.split()
    boxes = tuple(zip(words[::3], words[1::3], words[2::3], strict=True))
    names = shell.join(netitems.named(name) for name, _, _ in boxes)
    gateways = str(IPv4Address(gateway)), gateway6 if gateway6 == "-" else str(IPv6Address(gateway6))
    tried = "\n".join(
        f'sy_net_plug "$sy_device" {shell.join((*gateways, name, *_addresses(address, beside)))} || sy_bad=1'
        for name, address, beside in boxes
    )
    return (
        f"{probing.running(runtime)}{PASSING}{_PLUG}sy_bad= sy_done=\nsy_device=$({netitems.bridge_of(item)})\n"
        f'sy_all="\n$(sy_running {names})\n"\n{tried}\nsy_net_plugged "$sy_device"'
    )


def _addresses(address: str, beside: str) -> tuple[str, str]:
    return str(IPv4Address(address)), beside if beside == "-" else str(IPv6Interface(beside))
