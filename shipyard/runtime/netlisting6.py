"""What a node says of IPv6 on the cluster's networks: a part of its listing, where that is asked for.

It forks little: addresses are read from the kernel as it lists them itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv6Address, IPv6Interface, IPv6Network

from shipyard.model.wire import ACCEPT_MARK, Item, NetworkNames, WiringRequest

SCRIPT = r"""
sy_net_routes6=
[ -z '@SIX@' ] || sy_net_routes6=$(ip -6 route show table main 2>/dev/null)
sy_net_ours() {
  [ -d "/sys/class/net/$1/bridge" ] || [ "$1" = @VXLAN@ ] || [ "$1" = @WIREGUARD@ ]
}
sy_net_route6() {
  sy_to=$1
  shift
  case "$sy_to $* " in
    *" proto @PROTOCOL@ "*) sy_net_theirs "$*" || printf 'route %s %s\n' "$sy_to" "$*" ;;
    "default "*" proto ra "*)
      sy_device="$* "
      sy_device=${sy_device##*dev }
      sy_device=${sy_device%% *}
      read -r sy_skip <"/proc/sys/net/ipv6/conf/$sy_device/accept_ra"
      [ "$sy_skip" != 1 ] || printf 'ignored %s\n' "$sy_device" ;;
  esac
}
sy_net_foreign6() {
  sy_to=$1
  shift
  case "$sy_to $* " in
    "default "* | "fe80::"*) ;;
    *" proto @PROTOCOL@ "*) ! sy_net_theirs "$*" || printf 'foreign6 %s %s\n' "$sy_to" "$*" ;;
    *) printf 'foreign6 %s %s\n' "$sy_to" "$*" ;;
  esac
}
sy_net_kernel6() {
  # what nobody set is left out: it comes and goes by itself
  while read -r sy_address sy_skip sy_length sy_scope sy_flags sy_device; do
    case $sy_scope$sy_flags in 00[89abcdef]?) ! sy_net_ours "$sy_device" ||
      printf 'address6 %s %s %s\n' "$sy_device" "$sy_address" "$sy_length" ;; esac
  done 2>/dev/null </proc/net/if_inet6
  sy_net_each sy_net_route6 "$sy_net_routes6"
  if [ -e /sys/class/net/@VXLAN@ ]; then
    sy_word=neighbour
    sy_net_each sy_net_said "$(ip -6 neigh show dev @VXLAN@ nud permanent)"
  fi
  if ! command -v ip6tables >/dev/null 2>&1; then
    printf 'accept6 none\n'
  elif sy_said=$(ip6tables -w 10 -S DOCKER-USER 2>/dev/null) || sy_said=$(ip6tables -w 10 -S FORWARD 2>/dev/null); then
    [ ! -e "$sy_dir/net/accept.ip6tables" ] ||
      case $sy_said in *"--mark @MARK@ -j ACCEPT"*) printf 'accept6 there\n' ;; esac
  fi
}
sy_net_own6() {
  while read -r sy_address sy_skip sy_skip sy_scope sy_skip sy_device; do
    [ "$sy_scope" != 20 ] || sy_net_ours "$sy_device" || [ -e "/sys/class/net/$sy_device/master" ] ||
      printf 'own6 %s %s\n' "$sy_device" "$sy_address"
  done 2>/dev/null </proc/net/if_inet6
  sy_net_each sy_net_foreign6 "$sy_net_routes6"
}
"""


def address_of(hexadecimal: str) -> str:
    """As the kernel lists it without the help of `ip`."""
    return str(IPv6Address(bytes.fromhex(hexadecimal)))


def items(
    said: list[list[str]],
    addresses: Mapping[str, list[str]],
    request: WiringRequest,
    names: NetworkNames,
    bridges: Mapping[str, str],
) -> Iterator[Item]:
    """What there is of IPv6 but for routes and neighbours. On bridges others may have addresses, too."""
    if not request.six:
        return
    ours = IPv6Network(request.six)
    for device in names.devices:
        for address in addresses.get(device, ()):
            yield Item("address", f"{device} {address}")
    for network, device in sorted(bridges.items()):
        where = [each for each in addresses.get(device, ()) if IPv6Interface(each).ip in ours]
        if where:
            yield Item("bridge6", network, ",".join(sorted(where)))
    ignored = sorted(words[1] for words in said if words[0] == "ignored" and len(words) == 2)
    yield Item("advertisement", "routers", f"ignored on {', '.join(ignored)}" if ignored else "heard")
    if any(words[0] == "accept6" for words in said):
        yield Item("accept", "forward6", f"{ACCEPT_MARK:#x}/{ACCEPT_MARK:#x}")
