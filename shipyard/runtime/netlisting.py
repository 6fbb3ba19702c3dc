"""What a node says of its part of the cluster's network: the shell text that lists it, and what the listing means.

It runs in every pass on every node of such a network, so it is a handful of short processes, and the node itself
compares the sums of its listings with what they were when all was in order: it tells the rest only where one differs.
So nothing that changes by itself (counters, timers, flags, containers that come and go) may be in a listing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Network, ip_network

from shipyard.base import shell
from shipyard.base.text import one_line
from shipyard.model.wire import (
    ACCEPT_MARK,
    ROUTE_PROTOCOL,
    Item,
    LocalAddress,
    NetworkNames,
    ObservedWiring,
    WiringRequest,
)
from shipyard.runtime import netiptables, netlisting6, netplug, probing

SECTION = "wiring"

COUNT = r"""
  FNR == 1 { next }
  FILENAME ~ /udp6?$/ { if ($4 == "07" && $2 !~ /7F:/) datagrams = 1; next }
  $4 == "0A" { n = split($2, at, ":"); open[at[n]] = 1 }
  $4 ~ /^0[13459B]$/ { n = split($2, at, ":"); split($3, from, ":"); line[++lines] = at[n] " " from[1] }
  END {
    for (i = 1; i <= lines; i++) { split(line[i], w, " "); if (open[w[1]] && w[2] !~ /7F$/) count++ }
    print "connected", name, count + 0
    if (datagrams) print "datagrams", name
  }
"""
"""An awk program that counts a container's connections by the kernel's tables: to ports that it listens on, being made,
open, or closed by it and not by both sides yet. One that is cut off while it is being closed stays so in the tables of
the node that its client came by: there the same port of the client would be led to a replica that is gone.
Where datagrams come in, it says so: their clients are not known.
"""

BEFORE = (
    netplug.PASSING
    + r"""
sy_net_ports() {
  for sy_bridge in /sys/class/net/*/brif; do
    [ -d "$sy_bridge" ] || continue
    sy_bridge=${sy_bridge%/brif}
    sy_bridge=${sy_bridge##*/}
    sy_net_passing "$sy_bridge"
    printf 'ports %s %s\n' "$sy_bridge" "$sy_count"
  done
}
sy_ports=$(sy_net_ports)
"""
)
"""Before the runtime is asked what runs. What begins or ends meanwhile is on its bridge in one of the two counts."""

_SCRIPT = (
    netiptables.LISTING
    + netlisting6.SCRIPT
    + r"""
# FUNCTION TEXT: calls it with the words of each line. A pipe into a loop would be two processes more.
sy_net_each() {
  sy_call=$1 sy_ifs=$IFS
  IFS='
'
  set -f
  set -- $2
  IFS=$sy_ifs
  for sy_line; do "$sy_call" $sy_line; done
  set +f
}
sy_net_said() { printf '%s %s\n' "$sy_word" "$*"; }
sy_net_addresses=$(ip -o -4 address show 2>/dev/null)
sy_net_routes=$(ip -4 route show table main 2>/dev/null)
sy_net_theirs() {
  case "$1 " in
    *"dev @STEM@"[vwb]*) return 1 ;;
    # a device of another cluster
    *"dev sy"[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][vwb]*) return 0 ;;
  esac
  return 1
}
sy_net_address() { ! sy_net_ours "$2" || printf 'address %s %s\n' "$2" "$4"; }
sy_net_route() {
  sy_to=$1
  shift
  sy_net_theirs "$*" || case " $* " in *" proto @PROTOCOL@ "*) printf 'route %s %s\n' "$sy_to" "$*" ;; esac
}
sy_net_own() {
  sy_net_ours "$2" || [ "$2" = lo ] || {
    read -r sy_mtu <"/sys/class/net/$2/mtu"
    printf 'own %s %s %s\n' "$2" "$4" "$sy_mtu"
  }
}
sy_net_foreign() {
  sy_to=$1
  shift
  case "$sy_to $* " in
    "default "*) ;;
    *" proto @PROTOCOL@ "*) ! sy_net_theirs "$*" || printf 'foreign %s %s\n' "$sy_to" "$*" ;;
    *) printf 'foreign %s %s\n' "$sy_to" "$*" ;;
  esac
}
sy_net_kernel() {
  for sy_name in @SYSCTLS@; do
    sy_value=
    [ ! -e "/proc/sys/$sy_name" ] || read -r sy_value <"/proc/sys/$sy_name"
    [ -z "$sy_value" ] || printf 'sysctl %s %s\n' "$sy_name" "$sy_value"
  done
  for sy_file in /sys/class/net/*; do
    sy_device=${sy_file##*/}
    if sy_net_ours "$sy_device"; then
      read -r sy_mtu <"$sy_file/mtu"
      sy_mac=-
      read -r sy_mac <"$sy_file/address"
      sy_state=down
      read -r sy_flags <"$sy_file/flags"
      [ $((sy_flags & 1)) = 0 ] || sy_state=up
      printf 'device %s %s %s %s\n' "$sy_device" "${sy_mac:--}" "$sy_mtu" "$sy_state"
    fi
  done
  sy_net_each sy_net_address "$sy_net_addresses"
  sy_net_each sy_net_route "$sy_net_routes"
  if [ -e /sys/class/net/@VXLAN@ ]; then
    printf 'vxlan %s\n' "$(ip -o -d link show dev @VXLAN@)"
    sy_word=forwarding
    sy_net_each sy_net_said "$(bridge fdb show dev @VXLAN@)"
    sy_word=neighbour
    sy_net_each sy_net_said "$(ip -4 neigh show dev @VXLAN@ nud permanent)"
  fi
  if [ -e /sys/class/net/@WIREGUARD@ ]; then
    printf 'port %s\n' "$(wg show @WIREGUARD@ listen-port)"
    sy_word=endpoint
    sy_net_each sy_net_said "$(wg show @WIREGUARD@ endpoints)"
    sy_word=allowed
    sy_net_each sy_net_said "$(wg show @WIREGUARD@ allowed-ips)"
  fi
  if ! command -v iptables >/dev/null 2>&1; then
    printf 'accept none\n'
  elif sy_said=$(iptables -w 10 -S DOCKER-USER 2>/dev/null) || sy_said=$(iptables -w 10 -S FORWARD 2>/dev/null); then
    # of several clusters on one node each says that it needs the rule
    [ ! -e "$sy_dir/net/accept.iptables" ] ||
      case $sy_said in *"--mark @MARK@ -j ACCEPT"*) printf 'accept there\n' ;; esac
  fi
  [ -z '@SIX@' ] || sy_net_kernel6
  if [ -e "$sy_dir/net/up" ]; then
    { read -r sy_skip && read -r sy_skip sy_skip sy_value; } <"$sy_dir/net/up"
    sy_sum=
    [ ! -e "$sy_dir/net/up.sum" ] || IFS= read -r sy_sum <"$sy_dir/net/up.sum"
    [ "$(sha256sum <"$sy_dir/net/up")" = "$sy_sum" ] || sy_value=altered
    printf 'boot %s\n' "$sy_value"
  fi
  return 0
}
sy_net_listening() {
  awk 'FNR == 1 { split(FILENAME, part, "/"); kind = substr(part[4], 1, 3); next }
    (kind == "tcp" && $4 == "0A") || (kind == "udp" && $4 == "07") {
      n = split($2, at, ":"); if (!seen[kind at[n]]++) print "listen", kind, at[n] }' \
    /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 2>/dev/null
}
sy_net_wiring() {
  sy_text=$(sy_net_kernel)
  sy_sum=$(printf '%s' "$sy_text" | sha256sum)
  sy_sum=${sy_sum%% *}
  printf 'kernel %s\n' "$sy_sum"
  [ "$sy_sum" = '@KERNEL@' ] || { printf 'details\n'; printf '%s\n' "$sy_text" | while IFS= read -r sy_rest; do
    printf ' %s\n' "$sy_rest"; done; }
  if command -v nft >/dev/null 2>&1; then
    sy_text=$(nft -s list table ip @TABLE@ 2>/dev/null && { nft -s list table bridge @TABLE@ 2>/dev/null || :; } &&
      { [ -z '@SIX@' ] || nft -s list table ip6 @TABLE@ 2>/dev/null || :; })
  else
    sy_text=$(sy_ipt_list @TABLE@)
  fi
  sy_sum=$(printf '%s\n' "$sy_text" | sha256sum)
  sy_sum=${sy_sum%% *}
  printf 'rules %s\n' "$sy_sum"
  sy_value=
  [ ! -e "$sy_dir/net/loaded" ] || read -r sy_value <"$sy_dir/net/loaded"
  [ -z "$sy_value" ] || printf 'loaded %s\n' "$sy_value"
  if [ "$sy_sum" != '@RULES@' ]; then
    printf 'altered\n'
    [ -n "$sy_value" ] || [ -n "$sy_text" ] || sy_text=-
    if [ "$sy_text" != - ]; then
      sy_kept=$(cat "$sy_dir/net/list" 2>/dev/null)
      if [ "$sy_text" != "$sy_kept" ]; then
        { printf '%s\n' "$sy_kept"; printf '\001\n%s\n' "$sy_text"; } | awk '
          $0 == "\001" { second = 1; next }
          !second { want[$0]++; next }
          { if (want[$0]-- > 0) next; if ($0 != "" && shown++ < 20) print "+" $0 }
          END { for (line in want) if (want[line] > 0 && line != "" && count++ < 20) print "-" line }'
      fi
    fi
  fi
  printf 'end\n'
  if [ -e "$sy_dir/net/reverted" ]; then read -r sy_rest <"$sy_dir/net/reverted"; printf 'reverted %s\n' "$sy_rest"; fi
  for sy_name in ip bridge nft iptables ebtables conntrack wg wireguard-go; do
    command -v "$sy_name" >/dev/null 2>&1 && printf 'tool %s\n' "$sy_name"
  done
  [ ! -d /sys/module/wireguard ] || printf 'tool wireguard\n'
  sy_value=1
  [ ! -e /proc/sys/net/ipv6/conf/all/disable_ipv6 ] || read -r sy_value </proc/sys/net/ipv6/conf/all/disable_ipv6
  [ "$sy_value" != 0 ] || printf 'tool ipv6\n'
  [ "$sy_uid" != 0 ] || printf 'privileged\n'
  [ ! -s "$sy_dir/net/private" ] || printf 'key %s\n' "$(wg pubkey <"$sy_dir/net/private")"
  sy_net_each sy_net_own "$sy_net_addresses"
  sy_net_each sy_net_foreign "$sy_net_routes"
  [ -z '@SIX@' ] || sy_net_own6
  # ss asks for these alone; to read the files, the kernel goes through its whole table of connections
  if sy_said=$(ss -Hltun 2>/dev/null) && [ -n "$sy_said" ]; then
    printf '%s\n' "$sy_said" |
      awk '{ n = split($5, at, ":"); if (!seen[$1 at[n]]++) printf "listen %s %04X\n", $1, at[n] }'
  else
    sy_net_listening
  fi
  [ -z "$sy_ports" ] || printf '%s\n' "$sy_ports"
  sy_net_ports
  for sy_file in "$sy_dir"/hosts/*; do
    [ ! -e "$sy_file" ] || { sha256sum "$sy_dir"/hosts/* | while read -r sy_sum sy_rest; do
      printf 'file %s %s\n' "${sy_rest##*/}" "$sy_sum"; done; break; }
  done
  [ -z "@CONNECTED@" ] || sy_running @CONNECTED@ | while read -r sy_name sy_pid; do
    awk -v "name=$sy_name" '@COUNT@' "/proc/$sy_pid/net/tcp" "/proc/$sy_pid/net/tcp6" \
      "/proc/$sy_pid/net/udp" "/proc/$sy_pid/net/udp6" 2>/dev/null
  done
  return 0
}
section wiring sy_net_wiring
"""
)

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*")
_SHA = re.compile(r"[0-9a-f]{64}")
_TABLE = re.compile(r"[a-z0-9_]+")


def script(request: WiringRequest, names: NetworkNames, runtime: str) -> str:
    """The section of a probe that tells it. `names`: of this cluster's things."""
    text = probing.running(_word(runtime)) + _SCRIPT
    for mark, value in (
        ("COUNT", COUNT),
        ("SYSCTLS", shell.join(_word(name.replace(".", "/")) for name in request.sysctls)),
        ("VXLAN", _word(names.vxlan)),
        ("WIREGUARD", _word(names.wireguard)),
        ("TABLE", _word(names.table)),
        ("STEM", _word(names.prefix[:-1])),
        ("PROTOCOL", str(ROUTE_PROTOCOL)),
        ("MARK", f"{ACCEPT_MARK:#x}/{ACCEPT_MARK:#x}"),
        ("KERNEL", _sum(request.expected.kernel)),
        ("RULES", _sum(request.expected.rules)),
        ("SIX", str(IPv6Network(request.six)) if request.six else ""),
        ("CONNECTED", shell.join(_word(name) for name in request.connected)),
    ):
        text = text.replace(f"@{mark}@", value)
    return text


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError(f"not fit for a script: {text!r}")
    return text


def _sum(text: str) -> str:
    if text and not _SHA.fullmatch(text):
        raise ValueError(f"not a sum: {text!r}")
    return text


def parse(
    body: bytes, request: WiringRequest, names: NetworkNames, bridges: Mapping[str, str]
) -> tuple[ObservedWiring, tuple[tuple[str, int], ...], tuple[str, ...]]:
    """What the section means, how many connections containers have, and which of these containers take datagrams.

    `bridges`: device of each network of ours.

    Raises ValueError on what is no such listing.
    """
    lines = body.decode("utf-8", "replace").splitlines()
    details: list[str] | None = None
    altered: list[str] | None = None
    said: list[list[str]] = []
    for line in lines:
        if line == "details":
            details = []
        elif line == "altered":
            altered = []
        elif altered is not None and line.startswith(("+", "-")):
            altered.append(line[:1] + one_line(line[1:].strip(), 200))
        elif details is not None and line.startswith(" "):
            details.append(line[1:])
        elif line:
            said.append(line.split())
    single = {words[0]: words[1] for words in said if len(words) > 1}
    if "kernel" not in single or "rules" not in single or ["end"] not in said:
        raise ValueError("the listing of the node's network has no end")
    devices = {device: network for network, device in bridges.items()}
    ports: dict[str, int] = {}
    for _, device, count in _of(said, "ports", 3):
        if device in devices:
            ports[devices[device]] = max(int(count), ports.get(devices[device], 0))
    wiring = ObservedWiring(
        kernel=_sum(single["kernel"]),
        rules=_sum(single["rules"]),
        loaded=_sum(single.get("loaded", "")),
        reverted=one_line(" ".join(next((words[1:] for words in said if words[0] == "reverted"), ())), 200),
        items=None if details is None else tuple(_items(details, request, names, bridges)),
        altered=None if altered is None else tuple(sorted(altered, reverse=True)),
        files=tuple(sorted((words[1], words[2]) for words in _of(said, "file", 3))),
        ports=tuple(sorted(ports.items())),
        addresses=tuple(_addresses(_of(said, "own", 4))),
        routes=tuple(_foreign(said, "foreign", {*bridges.values(), *names.devices})),
        listening=tuple(sorted({f"{kind}/{int(port, 16)}" for _, kind, port in _of(said, "listen", 3)})),
        tools=tuple(sorted(words[1] for words in _of(said, "tool", 2))),
        public_key=next((words[1] for words in _of(said, "key", 2)), ""),
        privileged=["privileged"] in said,
        links=tuple(sorted((device, netlisting6.address_of(address)) for _, device, address in _of(said, "own6", 3))),
        routes6=tuple(_foreign(said, "foreign6", {*bridges.values(), *names.devices})),
    )
    connections = tuple((name, int(count)) for _, name, count in _of(said, "connected", 3))
    return wiring, connections, tuple(name for _, name in _of(said, "datagrams", 2))


def _of(said: list[list[str]], kind: str, length: int) -> list[list[str]]:
    return [words for words in said if words[0] == kind and len(words) == length]


def _addresses(said: Iterable[list[str]]) -> Iterator[LocalAddress]:
    for _, device, address, mtu in said:
        bare, _, length = address.partition("/")
        yield LocalAddress(str(IPv4Address(bare)), int(length or 32), device.partition("@")[0], int(mtu))


def _foreign(said: Iterable[list[str]], kind: str, ours: Collection[str]) -> Iterator[tuple[str, str]]:
    """Routes that are not ours, nor those of devices of ours, which the kernel makes with their addresses."""
    for words in said:
        if words[0] == kind and len(words) > 1 and not set(ours) & set(words):
            try:
                yield str((IPv4Network if kind == "foreign" else IPv6Network)(words[1])), " ".join(words[2:])
            except (AddressValueError, ValueError):
                continue  # `unreachable …`, `broadcast …`: no destination that could collide


def _items(
    details: list[str], request: WiringRequest, names: NetworkNames, bridges: Mapping[str, str]
) -> Iterator[Item]:
    said = [line.split() for line in details if line]
    addresses: dict[str, list[str]] = {}
    beside: dict[str, list[str]] = {}
    for words in said:
        if words[0] == "address" and len(words) == 3:
            addresses.setdefault(words[1], []).append(words[2] if "/" in words[2] else f"{words[2]}/32")
        elif words[0] == "address6" and len(words) == 4:
            beside.setdefault(words[1], []).append(f"{netlisting6.address_of(words[2])}/{int(words[3], 16)}")
    devices = {words[1]: words[2:] for words in said if words[0] == "device" and len(words) == 5}
    yield from _devices(said, devices, addresses, names)
    yield from netlisting6.items(said, beside, request, names, bridges)
    for network, device in sorted(bridges.items()):
        if device in devices:
            mac, mtu, _ = devices[device]
            where = addresses.get(device, ["none"])
            yield Item("bridge", network, f"address {mac} ip {','.join(where)} mtu {mtu}")
    ranges = [IPv4Network(each) for each in request.ranges]
    endpoints = {words[1]: words[2] for words in said if words[0] == "endpoint" and len(words) == 3}
    for words in said:
        match words:
            case ["sysctl", name, value]:
                yield Item("sysctl", name.replace("/", "."), value)
            case ["route", to, *rest]:
                destination = ip_network(to)
                if isinstance(destination, IPv6Network) or any(destination.subnet_of(each) for each in ranges):
                    yield Item("route", str(destination), _way(rest))
            case ["forwarding", mac, "dst", address, *_] if mac != "00:00:00:00:00:00":
                yield Item("forwarding", f"{names.vxlan} {mac}", address)
            case ["neighbour", address, "lladdr", mac, *_]:
                yield Item("neighbour", f"{names.vxlan} {address}", mac)
            case ["allowed", key, *allowed]:
                value = f"endpoint {endpoints.get(key, 'none')} allowed {','.join(sorted(allowed))}"
                yield Item("peer", f"{names.wireguard} {key}", value)
            case ["accept", _]:
                yield Item("accept", "forward", f"{ACCEPT_MARK:#x}/{ACCEPT_MARK:#x}")
            case ["boot", digest, *_]:
                yield Item("boot", "up", digest)
            case _:
                pass


def _devices(
    said: list[list[str]], devices: Mapping[str, list[str]], addresses: Mapping[str, list[str]], names: NetworkNames
) -> Iterator[Item]:
    """The cluster's own. One that is down is as good as none: all that is on it is gone with it."""
    port = next((words[1] for words in said if words[0] == "port" and len(words) == 2), "none")
    vxlan = next((words for words in said if words[0] == "vxlan"), [])
    for device in names.devices:
        if device not in devices:
            continue
        mac, mtu, state = devices[device]
        down = " down" if state != "up" else ""
        if device == names.vxlan:
            known = {name: _after(vxlan, name) for name in ("id", "local", "dstport")}
            parts = " ".join(f"{name} {value}" for name, value in known.items())
            yield Item("link", device, f"vxlan {parts} address {mac} mtu {mtu}{down}")
        else:
            yield Item("link", device, f"wireguard port {port} mtu {mtu}{down}")
        for address in addresses.get(device, ()):
            yield Item("address", f"{device} {address}")


def _after(words: list[str], name: str) -> str:
    """The word after `name`, where the kind of device is told."""
    inside = words[words.index("vxlan", 1) :] if "vxlan" in words[1:] else []
    return inside[inside.index(name) + 1] if name in inside[:-1] else "none"


def _way(words: list[str]) -> str:
    """A route as an item's value: the words that matter, in order."""
    known = {name: words[words.index(name) + 1] for name in ("via", "dev", "src") if name in words[:-1]}
    parts = [f"{name} {known[name]}" for name in ("via", "dev") if name in known]
    parts += ["onlink"] if "onlink" in words else []
    parts += [f"src {known['src']}"] if "src" in known else []
    return " ".join(parts)
