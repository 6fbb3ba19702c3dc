"""How a node's part of the cluster's network is made, put right and taken away: functions, and a call for each item.

Each call mends exactly one thing and does nothing where that is as it should be, so that what runs is not disturbed.
The same calls, in order, bring everything back when a node boots.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network

from shipyard.base import shell
from shipyard.model.wire import ROUTE_PROTOCOL, Item

KEPT_BRIDGE = (
    r"""sed -n 's/^ *"network_interface": *"\([^"]*\)".*/\1/p' "/etc/containers/networks/$1.json" 2>/dev/null"""
)
"""Prints the device of network `$1` from where root's podman keeps it: podman itself is thirty times as dear."""
FUNCTIONS = r"""
sy_net_sysctl() {
  [ -e "/proc/sys/$1" ] || case $1 in net/bridge/*) return 0 ;; esac
  printf '%s\n' "$2" >"/proc/sys/$1"
}
sy_net_vxlan() {
  case $(ip -o -d link show dev "$1" 2>/dev/null) in
    *" vxlan id $2 local $3 "*" dstport $4 "*) ;;
    *)
      ip link del dev "$1" 2>/dev/null
      ip link add "$1" type vxlan id "$2" local "$3" dstport "$4" nolearning || return
      ;;
  esac
  # the kernel forgets neighbours when it is told the hardware address, even the same one
  read -r sy_mac <"/sys/class/net/$1/address"
  [ "$sy_mac" = "$5" ] || ip link set dev "$1" address "$5" || return
  ip link set dev "$1" mtu "$6" up
}
sy_net_wireguard() {
  if ! [ -e "/sys/class/net/$1" ]; then
    # the process that stands in for the kernel stays: it must not keep the lock, nor this connection
    ip link add "$1" type wireguard 2>/dev/null || wireguard-go "$1" >/dev/null 2>&1 </dev/null 9>&- || {
      echo "neither the kernel nor wireguard-go can make a device of WireGuard" >&2
      return 1
    }
  fi
  wg set "$1" private-key "$sy_dir/net/private" listen-port "$2" && ip link set dev "$1" mtu "$3" up
}
sy_net_bridge() {
  sy_made=
  [ -e "/sys/class/net/$1" ] || { ip link add "$1" type bridge && sy_made=1; } || return
  read -r sy_mac <"/sys/class/net/$1/address"
  [ "$sy_mac" = "$2" ] || ip link set dev "$1" address "$2" || return
  ip link set dev "$1" mtu "$4" up || return
  case $(ip -o -4 address show dev "$1") in
    *" $3 "*) ;;
    *) ip address add "$3" brd + dev "$1" || return ;;
  esac
  printf '1\n' >"/proc/sys/net/ipv4/conf/$1/route_localnet"
  if [ -z "$sy_made" ] && [ "$sy_mac" != "$2" ]; then
    # who is on it learns the gateway's new hardware address when the gateway asks for theirs
    ip neigh show dev "$1" | while read -r sy_there sy_skip; do
      ip neigh change "$sy_there" dev "$1" nud probe 2>/dev/null
    done
  fi
  return 0
}
sy_net_address6() {
  # a device that was made while IPv6 was off by default has it off
  printf '0\n' >"/proc/sys/net/ipv6/conf/$1/disable_ipv6" && ip -6 address replace "$2" dev "$1" nodad
}
sy_net_heed() {
  # a node that forwards no longer hears its routers, unless it is told to (2); who set 0 hears none anyway
  ip -6 route show default proto ra | while read -r sy_rest; do
    sy_device=${sy_rest##* dev }
    sy_file=/proc/sys/net/ipv6/conf/${sy_device%% *}/accept_ra
    # a byte at a time, as some shells read, settings end after the first: not with a line's end
    sy_value=
    [ ! -e "$sy_file" ] || read -r sy_value <"$sy_file"
    [ "$sy_value" != 1 ] || printf '2\n' >"$sy_file"
  done
}
sy_net_bridge_of() {
  sy_device=$(@KEPT@)
  if [ -z "$sy_device" ] && [ ! -d "/sys/class/net/$2" ] && command -v podman >/dev/null 2>&1; then
    sy_device=$(podman network inspect --format '{{.NetworkInterface}}' "$1" 2>/dev/null)
  fi
  printf '%s' "${sy_device:-$2}"
}
sy_net_forwarding() {
  case $(bridge fdb show dev "$1") in
    *"$2 dst $3 "*) return 0 ;;
    *"$2 dst "*) bridge fdb del "$2" dev "$1" ;;
  esac
  bridge fdb add "$2" dev "$1" dst "$3"
}
sy_net_accept() {
  command -v "$1" >/dev/null 2>&1 || return 0
  (umask 077 && mkdir -p "$sy_dir/net" && : >"$sy_dir/net/accept.$1") || return
  if "$1" -w 10 -n -L DOCKER-USER >/dev/null 2>&1; then sy_chain=DOCKER-USER; else sy_chain=FORWARD; fi
  "$1" -w 10 -C "$sy_chain" -m mark --mark "$2" -j ACCEPT 2>/dev/null ||
    "$1" -w 10 -I "$sy_chain" -m mark --mark "$2" -j ACCEPT
}
sy_net_accept_no_more() {
  command -v "$1" >/dev/null 2>&1 || return 0
  rm -f "$sy_dir/net/accept.$1"
  # other clusters on this node need the same
  for sy_file in "${sy_dir%/*}"/*/net/accept."$1"; do [ ! -e "$sy_file" ] || return 0; done
  for sy_chain in DOCKER-USER FORWARD; do
    while "$1" -w 10 -D "$sy_chain" -m mark --mark "$2" -j ACCEPT 2>/dev/null; do :; done
  done
  return 0
}
""".replace("@KEPT@", KEPT_BRIDGE)

_DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_SYSCTL = re.compile(r"[a-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MARK = re.compile(r"0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8}")


def ensure(item: Item) -> str:
    """Shell text that makes it so. Raises ValueError on what is no such item."""
    match item.kind:
        case "sysctl":
            return shell.join(("sy_net_sysctl", _matching(_SYSCTL, item.key).replace(".", "/"), _number(item.value)))
        case "link":
            return _link(item)
        case "address":
            device, address = item.key.split()
            if ":" in address:
                return shell.join(("sy_net_address6", _device(device), str(IPv6Interface(address))))
            return shell.join(("ip", "address", "replace", str(IPv4Interface(address)), "dev", _device(device)))
        case "bridge":
            said = _said(item.value, "address", "ip", "mtu")
            mac, address = _matching(_MAC, said["address"]), str(IPv4Interface(said["ip"]))
            words = shell.join((mac, address, _number(said["mtu"])))
            return f'sy_net_bridge "$({bridge_of(item)})" {words}'
        case "bridge6":
            return f'sy_net_address6 "$({bridge_of(item)})" {shell.quote(str(IPv6Interface(item.value)))}'
        case "advertisement":
            return "sy_net_heed"
        case "forwarding":
            device, mac = item.key.split()
            return shell.join(
                ("sy_net_forwarding", _device(device), _matching(_MAC, mac), str(IPv4Address(item.value)))
            )
        case "neighbour":
            device, address = item.key.split()
            there = ("dev", _device(device), "nud", "permanent")
            mac = _matching(_MAC, item.value)
            return shell.join(("ip", "neigh", "replace", str(ip_address(address)), "lladdr", mac, *there))
        case "route":
            way = _way(item.value)
            where = (_family(item.key), "route", "replace", _range(item.key))
            return shell.join(("ip", *where, *way, "proto", str(ROUTE_PROTOCOL)))
        case "peer":
            device, key = item.key.split()
            said = _said(item.value, "endpoint", "allowed")
            allowed = ",".join(_range(each) for each in said["allowed"].split(","))
            peer = ("peer", _matching(_KEY, key), "endpoint", _endpoint(said["endpoint"]), "allowed-ips", allowed)
            return shell.join(("wg", "set", _device(device), *peer))
        case "accept":
            return shell.join(("sy_net_accept", _program(item), _matching(_MARK, item.value)))
        case _:
            raise ValueError(f"not an item that is made by itself: {item.kind}")


def drop(item: Item) -> str:
    """Shell text after which it is not there, whether it was or not. Raises ValueError on what is no such item."""
    words: tuple[str, ...]
    match item.kind:
        case "link":
            words = ("ip", "link", "del", "dev", _device(item.key))
        case "address":
            device, address = item.key.split()
            words = ("ip", "address", "del", str(ip_interface(address)), "dev", _device(device))
        case "forwarding":
            device, mac = item.key.split()
            words = ("bridge", "fdb", "del", _matching(_MAC, mac), "dev", _device(device))
        case "neighbour":
            device, address = item.key.split()
            words = ("ip", "neigh", "del", str(ip_address(address)), "dev", _device(device))
        case "route":
            words = ("ip", _family(item.key), "route", "del", _range(item.key), "proto", str(ROUTE_PROTOCOL))
        case "peer":
            device, key = item.key.split()
            words = ("wg", "set", _device(device), "peer", _matching(_KEY, key), "remove")
        case "accept":
            words = ("sy_net_accept_no_more", _program(item), _matching(_MARK, item.value))
        case _:
            raise ValueError(f"not an item that is taken away: {item.kind}")
    return f"{shell.join(words)} 2>/dev/null || :"


def bridge_of(item: Item) -> str:
    """Shell text that prints the device of a network's bridge: podman chooses it by itself."""
    return shell.join(("sy_net_bridge_of", named(item.key), _device(item.device or "none")))


def named(text: str) -> str:
    """A container's or a network's name as it is. Raises ValueError on what is none."""
    return _matching(_NAME, text)


def _link(item: Item) -> str:
    kind, _, rest = item.value.partition(" ")
    if kind == "vxlan":
        said = _said(rest, "id", "local", "dstport", "address", "mtu")
        where = (_number(said["id"]), str(IPv4Address(said["local"])), _number(said["dstport"]))
        return shell.join(
            ("sy_net_vxlan", _device(item.key), *where, _matching(_MAC, said["address"]), _number(said["mtu"]))
        )
    if kind == "wireguard":
        said = _said(rest, "port", "mtu")
        return shell.join(("sy_net_wireguard", _device(item.key), _number(said["port"]), _number(said["mtu"])))
    raise ValueError(f"not a kind of device: {kind}")


def _way(value: str) -> list[str]:
    """The words of a route, each checked."""
    words, made = iter(value.split()), []
    for word in words:
        if word in ("via", "src"):
            made += [word, str(ip_address(next(words)))]
        elif word == "dev":
            made += [word, _device(next(words))]
        elif word == "onlink":
            made.append(word)
        else:
            raise ValueError(f"not a word of a route: {word}")
    return made


def _said(value: str, *names: str) -> dict[str, str]:
    words = value.split()
    found = dict(zip(words[::2], words[1::2], strict=True))
    if tuple(found) != names:
        raise ValueError(f"expected {', '.join(names)}: {value}")
    return found


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"not fit for a command: {text!r}")
    return text


def _device(text: str) -> str:
    return _matching(_DEVICE, text)


def _number(text: str) -> str:
    return str(int(text))


def _range(text: str) -> str:
    return str(ip_network(text))


def _family(text: str) -> str:
    return "-6" if ":" in text else "-4"


def _program(item: Item) -> str:
    return "ip6tables" if item.key == "forward6" else "iptables"


def _endpoint(text: str) -> str:
    address, _, port = text.rpartition(":")
    return f"{IPv4Address(address)}:{int(port)}"
