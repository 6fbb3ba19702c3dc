"""What of the cluster's network is kept on a node, in `net/` and `hosts/` of shipyard's directory there.

| file | holds |
|---|---|
| `net/rules.nft` | the rules as loaded last, for the next boot; `net/rules.ipt` where there is no nft |
| `net/loaded` | their sha256 |
| `net/list` | how the kernel listed them right after loading: what is altered by hand shows against it |
| `net/up` | the script that brings all of it back at boot |
| `net/private` | WireGuard's private key, made here |
| `net/accept.PROGRAM` | that this cluster needs iptables' (ip6tables') rule which all clusters on the node share |
| `net/armed`, `net/confirmed` | equal where the last change was confirmed over a fresh connection |
| `net/reverted` | why the node undid it by itself |
| `hosts/NAME` | the hosts file of the replica whose (main) container has this name |

All but hosts files are for their owner alone.
"""

from __future__ import annotations

import base64
import re

from shipyard.base import shell
from shipyard.model.plan import ArmRevert, LeaveBoot, LoadRules, WriteHosts
from shipyard.model.wire import IPTABLES
from shipyard.runtime import netiptables, netitems, netswap

CONFIRM_WITHIN = 30
"""Seconds in which a fresh connection has to confirm a change of routes or rules."""

FUNCTIONS = (
    netitems.FUNCTIONS
    + netiptables.FUNCTIONS
    + netswap.FUNCTIONS
    + r"""
sy_net_make() { (umask 077 && mkdir -p "$sy_dir/net"); }
sy_net_list() {
  nft -s list table ip "$1" && { nft -s list table bridge "$1" 2>/dev/null || :; } &&
    { nft -s list table ip6 "$1" 2>/dev/null || :; }
}
sy_net_load() {
  sy_net_make || return
  (umask 077 && base64 -d >"$sy_dir/net/rules.new") || return
  if [ "${3:-}" = anew ]; then nft -f "$sy_dir/net/rules.new"; else
    (umask 077 && sy_net_swap "$1" "$sy_dir/net/rules.new")
  fi || return
  grep -q '^table ip6 ' "$sy_dir/net/rules.new" || nft delete table ip6 "$1" 2>/dev/null
  mv -f "$sy_dir/net/rules.new" "$sy_dir/net/rules.nft" &&
    (umask 077 && sy_net_list "$1" >"$sy_dir/net/list") &&
    printf '%s\n' "$2" | sy_keep "$sy_dir/net/loaded" || return
  # it had no nft before
  [ ! -e "$sy_dir/net/rules.ipt" ] || { sy_ipt_unload "$1" && rm -f "$sy_dir/net/rules.ipt"; }
}
sy_net_load_ipt() {
  sy_net_make || return
  (umask 077 && base64 -d >"$sy_dir/net/rules.new") || return
  sy_ipt_load "$sy_dir/net/rules.new" || return
  rm -f "$sy_dir/net/rules.nft"
  mv -f "$sy_dir/net/rules.new" "$sy_dir/net/rules.ipt" &&
    (umask 077 && sy_ipt_list "$1" >"$sy_dir/net/list") &&
    printf '%s\n' "$2" | sy_keep "$sy_dir/net/loaded"
}
sy_net_unload() {
  nft delete table ip "$1" 2>/dev/null
  nft delete table bridge "$1" 2>/dev/null
  nft delete table ip6 "$1" 2>/dev/null
  sy_ipt_unload "$1"
  rm -f "$sy_dir/net/rules.nft" "$sy_dir/net/rules.ipt" "$sy_dir/net/list" "$sy_dir/net/loaded"
}
sy_net_tracked() {
  conntrack -L 2>/dev/null | awk '
    BEGIN { for (i = 1; i < ARGC; i++) wanted[ARGV[i]]; ARGC = 1 }
    {
      for (i = 4; i <= NF; i++) if ($i ~ /^src=/) there = substr($i, 5)
      said = $1 " " (index($4, "=") ? "-" : $4) " " there
      if (there in wanted && !seen[said]++) print said
    }' "$@"
}
sy_net_forget() {
  command -v conntrack >/dev/null 2>&1 || return 0
  sy_dead=" $1 "
  shift
  # to delete is a walk through the kernel's whole table, for each address and state, and mostly for nothing
  sy_net_tracked "$@" | while read -r sy_protocol sy_state sy_there; do
    case $sy_protocol/$sy_state in
      udp/*) conntrack -D -p udp --reply-src "$sy_there" ;;
      # a client that uses the port of a connection that has ended once more would be led where that one was
      tcp/TIME_WAIT | tcp/LAST_ACK | tcp/CLOSE) conntrack -D -p tcp --state "$sy_state" --reply-src "$sy_there" ;;
      tcp/SYN_SENT)
        case $sy_dead in *" $sy_there "*) conntrack -D -p tcp --state SYN_SENT --reply-src "$sy_there" ;; esac
        ;;
    esac
  done >/dev/null 2>&1
  return 0
}
sy_net_forget_ports() {
  command -v conntrack >/dev/null 2>&1 || return 0
  for sy_port; do conntrack -D -p udp --orig-port-dst "$sy_port" >/dev/null 2>&1; done
  return 0
}
sy_net_key() {
  sy_net_make || return
  [ -s "$sy_dir/net/private" ] || (umask 077 && wg genkey >"$sy_dir/net/private.new") &&
    { [ ! -e "$sy_dir/net/private.new" ] || mv "$sy_dir/net/private.new" "$sy_dir/net/private"; }
}
sy_net_arm() {
  sy_net_make || return
  sy_armed='' sy_confirmed=''
  [ ! -e "$sy_dir/net/armed" ] || read -r sy_armed <"$sy_dir/net/armed"
  [ ! -e "$sy_dir/net/confirmed" ] || read -r sy_confirmed <"$sy_dir/net/confirmed"
  if [ "$sy_armed" = "$sy_confirmed" ]; then
    # the state to go back to is one that was confirmed
    for sy_file in rules.nft rules.ipt up; do
      rm -f "$sy_dir/net/$sy_file.before"
      [ ! -e "$sy_dir/net/$sy_file" ] || cp -p "$sy_dir/net/$sy_file" "$sy_dir/net/$sy_file.before" || return
    done
  fi
  rm -f "$sy_dir/net/reverted"
  read -r sy_armed </proc/sys/kernel/random/uuid
  printf '%s\n' "$sy_armed" | sy_keep "$sy_dir/net/armed" || return
  (umask 077 && base64 -d >"$sy_dir/net/revert") || return
  # a process of its own, which neither this connection nor the lock's end may take along or wait for
  if command -v setsid >/dev/null 2>&1; then sy_apart=setsid; else sy_apart=; fi
  $sy_apart sh "$sy_dir/net/revert" "$sy_dir" "$sy_armed" "$$" >/dev/null 2>&1 </dev/null 9>&- &
}
sy_hosts_drop() { for sy_there; do rm -f "$sy_dir/hosts/$sy_there"; done; }
sy_hosts_put() {
  (umask 022 && mkdir -p "$sy_dir/hosts") && chmod 755 "$sy_dir/hosts" || return
  # in place: who has it mounted sees it only so. A power cut in between is mended by the next pass
  { printf '%s' "$sy_shared"; cat; } >"$sy_dir/hosts/$1" && chmod 644 "$sy_dir/hosts/$1" &&
    sy_admit "$sy_dir/hosts/$1"
}
"""
)
"""Need what `nodedir.writing` defines."""

_REVERT = r"""#!/bin/sh
# Undoes a change of the cluster's network that nobody confirmed.
sy_dir=$1
@FUNCTIONS@
# first the script that makes the change has to end: it may have other things to do
while kill -0 "$3" 2>/dev/null; do sleep 1; done
sleep @SECONDS@
[ "$(cat "$sy_dir/net/armed")" = "$2" ] || exit 0
[ "$(cat "$sy_dir/net/confirmed" 2>/dev/null)" != "$2" ] || exit 0
nft delete table ip @TABLE@ 2>/dev/null
nft delete table bridge @TABLE@ 2>/dev/null
nft delete table ip6 @TABLE@ 2>/dev/null
sy_ipt_unload @TABLE@
for sy_device in @DEVICES@; do ip link del dev "$sy_device" 2>/dev/null; done
for sy_range in @RANGES@; do
  case $sy_range in *:*) sy_family=-6 ;; *) sy_family=-4 ;; esac
  ip "$sy_family" route flush root "$sy_range" proto 190 2>/dev/null
done
rm -f "$sy_dir/net/rules.nft" "$sy_dir/net/rules.ipt" "$sy_dir/net/up" "$sy_dir/net/loaded" "$sy_dir/net/list"
for sy_file in rules.nft rules.ipt up; do
  [ ! -e "$sy_dir/net/$sy_file.before" ] || mv -f "$sy_dir/net/$sy_file.before" "$sy_dir/net/$sy_file"
done
[ ! -e "$sy_dir/net/up" ] || sh "$sy_dir/net/up"
cp "$sy_dir/net/armed" "$sy_dir/net/confirmed"
echo 'no fresh connection confirmed it within @SECONDS@ s' >"$sy_dir/net/reverted"
"""

_UP = r"""#!/bin/sh
# boot @DIGEST@
# Brings this node's part of the cluster's network back. Written by shipyard; runs at boot, and does no harm later.
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
sy_dir=${0%/net/up}
@FUNCTIONS@
@CALLS@
if [ -s "$sy_dir/net/rules.nft" ]; then nft -f "$sy_dir/net/rules.nft"; fi
if [ -s "$sy_dir/net/rules.ipt" ]; then sy_ipt_load "$sy_dir/net/rules.ipt"; fi
exit 0
"""

_UNIT = """[Unit]
Description=Cluster network of shipyard (%s)
Wants=network-online.target
After=network-online.target nftables.service iptables.service
Before=docker.service podman.service podman-restart.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh "%s/net/up"

[Install]
WantedBy=multi-user.target
"""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def arm(step: ArmRevert) -> str:
    """Undo what follows, unless it is confirmed."""
    text = _REVERT
    for mark, value in (
        ("FUNCTIONS", netiptables.FUNCTIONS),
        ("SECONDS", str(CONFIRM_WITHIN)),
        ("TABLE", _checked(step.table)),
        ("DEVICES", shell.join(step.devices)),
        ("RANGES", shell.join(step.ranges)),
    ):
        text = text.replace(f"@{mark}@", value)
    return f"sy_net_arm {_document(text)}"


CONFIRM = '[ ! -e "$sy_dir/net/armed" ] || cp "$sy_dir/net/armed" "$sy_dir/net/confirmed"\n'
"""Sent over a fresh connection: it got here, so the change may stay."""


def load(step: LoadRules) -> str:
    """Replace all rules at once; those that the kernel would not take change nothing."""
    forget = f"sy_net_forget {shell.quote(' '.join(step.dead))} {shell.join(step.gone)}" if step.gone else ":"
    if step.new:
        forget += f" && sy_net_forget_ports {shell.join(map(str, step.new))}"
    if not step.text:
        return f"sy_net_unload {_checked(step.table)} && {forget}"
    load = "sy_net_load_ipt" if step.text.startswith(IPTABLES) else "sy_net_load"
    words = f"{load} {_checked(step.table)} {step.digest}{' anew' if step.anew else ''}"
    return f"{{ {words} {_document(step.text)}\n}} &&\n{forget}"


def make_key() -> str:
    """WireGuard's private key, unless it is there."""
    return "sy_net_key"


def write_hosts(step: WriteHosts) -> str:
    """Hosts files, in place. Texts that several share are sent once."""
    parts = [f"sy_hosts_drop {shell.join(map(_checked, step.drop))}"] if step.drop else []
    for number, text in enumerate(step.shared):
        parts.append(f"sy_shared={shell.quote(text)}")
        for file in step.files:
            if file.shared == number:
                own = "".join(f"{line}\n" for line in file.lines)
                parts.append(f"sy_hosts_put {_checked(file.container)} <<'_END_'\n{own}_END_")
    # a here-document ends with a line of its own
    return " &&\n".join(f"{{ {part}\n}}" for part in parts)


def leave_boot(step: LeaveBoot) -> str:
    """Write the script for the next boot, and the unit that runs it where there is systemd."""
    calls = "\n".join(netitems.ensure(item) for item in step.items)
    text = _UP.replace("@DIGEST@", step.digest).replace("@CALLS@", calls)
    text = text.replace("@FUNCTIONS@", netitems.FUNCTIONS + netiptables.FUNCTIONS)
    return (
        f'sy_net_make && {{ base64 -d {_document(text)}\n}} | sy_keep "$sy_dir/net/up" &&\n'
        'sha256sum <"$sy_dir/net/up" | sy_keep "$sy_dir/net/up.sum" &&\n'
        'if [ -d /run/systemd/system ] && [ "$sy_uid" = 0 ]; then\n'
        "  sy_unit=shipyard-network-${sy_dir##*/}.service\n"
        f'  printf {shell.quote(_UNIT)} "$sy_dir" "$sy_dir" >"/etc/systemd/system/$sy_unit" &&\n'
        '    systemctl daemon-reload && systemctl enable --quiet "$sy_unit"\n'
        "fi"
    )


def hosts_path(directory: str, container: str) -> str:
    """Where a container's hosts file is: all containers of a replica share that of the main one."""
    return f"{directory}/hosts/{_checked(container.partition('.')[0])}"


def _document(text: str) -> str:
    """Content as a here-document, so that it is in no argv. Base64 has no `_`, so nothing in it ends it early."""
    return f"<<'_END_'\n{base64.encodebytes(text.encode()).decode()}_END_"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not fit for a file's name: {name!r}")
    return name
