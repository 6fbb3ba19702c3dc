"""Rules of the cluster's network on a node without nft: what `planner/network/tables.py` says, for iptables-restore.

The text has our own chains alone. The node itself adds what takes away the chains that are no longer in it, and what
makes the kernel's own chains enter ours first; each table is then replaced at once.

What the text has for bridges (`# bridge BLOCK BROADCAST`) becomes a chain of ebtables: frames for addresses of a block
go to the node itself, which routes them, and so asks the rules. A new chain is made beside the old one, and then
entered in its place.
"""

from __future__ import annotations

LISTING = r"""
sy_ipt_list() {
  iptables-save 2>/dev/null | awk -v prefix="SY-${1##*_}-" '
    /^\*/ { table = $1; next }
    $1 == "-A" { nth = ++rules[table $2] }
    /^#/ || !index($0, prefix) { next }
    index($2, prefix) == 1 || /^:/ { print table, $0; next }
    { print table, $0, (table == "*filter" ? "" : nth == 1 ? "first" : "later") }'
  sy_ebt_list "SY-${1##*_}-bridge"
}
sy_ebt_bridged() { grep -q '^# bridge ' "$sy_dir/net/rules.ipt" 2>/dev/null; }
sy_ebt_list() {
  sy_ebt_bridged || return 0
  ebtables --concurrent -t nat -L 2>/dev/null | awk -v ours="$1" '
    /^Bridge chain: / { chain = substr($3, 1, length($3) - 1); nth = 0; next }
    !NF { next }
    { nth++; sub(/ +$/, "") }
    index(chain, ours) == 1 { print "*bridge", $0 }
    chain == "PREROUTING" && index($0, "-j " ours) == 1 { print "*bridge -j", ours, nth == 1 ? "first" : "later" }'
}
"""
"""Our chains, and by which rules they are entered: whether first, where that matters. Needs `sy_dir`."""

FUNCTIONS = (
    LISTING
    + r"""
sy_ipt_merged() {
  { echo '#'; iptables-save; } >"$2.there" || return
  awk -v prefix="$1" '
    FNR == 1 { part++ }
    part == 1 && /^\*/ { table = substr($1, 2); next }
    part == 1 && /^:DOCKER-USER / && table == "filter" { docker = 1; next }
    part == 1 && index($1, ":" prefix) == 1 { there[++count] = table " " substr($1, 2); next }
    part == 1 && $1 == "-A" && $3 == "-j" && NF == 4 && index($4, prefix) == 1 && index($2, prefix) != 1 {
      hook[++hooks] = table " -D " $2 " -j " $4; next }
    part == 1 { next }
    part == 2 && /^\*/ { table = substr($1, 2); next }
    part == 2 && /^:/ { wanted[table " " substr($1, 2)] = 1; next }
    part == 2 { next }
    /^\*/ {
      table = substr($1, 2); print
      for (i = 1; i <= count; i++) {
        split(there[i], word, " "); if (word[1] == table && !(there[i] in wanted)) print ":" word[2] " - [0:0]" }
      next }
    /^# hook / {
      # what docker puts first in its own chain stays first; in FORWARD it puts itself before all others
      into = $3 == "FORWARD" && table == "filter" && docker ? "DOCKER-USER" : $3
      insert[++inserts] = "-I " into " 1 -j " $4; next }
    /^COMMIT/ {
      for (i = 1; i <= hooks; i++) if (index(hook[i], table " ") == 1) print substr(hook[i], length(table) + 2)
      for (i = 1; i <= inserts; i++) print insert[i]
      inserts = 0
      for (i = 1; i <= count; i++) {
        split(there[i], word, " "); if (word[1] == table && !(there[i] in wanted)) print "-X " word[2] }
      print; next }
    { print }' "$2.there" "$2" "$2" >"$2.merged"
}
sy_ebt_drop() {
  while ebtables --concurrent -t nat -D PREROUTING -j "$1" 2>/dev/null; do :; done
  ! ebtables --concurrent -t nat -L "$1" >/dev/null 2>&1 ||
    { ebtables --concurrent -t nat -F "$1" && ebtables --concurrent -t nat -X "$1"; }
}
sy_ebt_load() {
  sy_bridges=$(sed -n 's/^# bridge //p' "$2") sy_new=${1}0 sy_old=${1}1
  [ -n "$sy_bridges" ] || sy_ebt_bridged || return 0
  case $(ebtables --concurrent -t nat -L PREROUTING 2>/dev/null) in *"-j ${1}0"*) sy_new=${1}1 sy_old=${1}0 ;; esac
  sy_ebt_drop "$sy_new" || return
  if [ -n "$sy_bridges" ]; then
    ebtables --concurrent -t nat -N "$sy_new" -P RETURN || return
    printf '%s\n' "$sy_bridges" | while read -r sy_block sy_all; do
      # what is for all of them can't be routed, and has to be left to the bridge
      ebtables --concurrent -t nat -A "$sy_new" -p 0x0800 --ip-dst "$sy_all" -j RETURN &&
        ebtables --concurrent -t nat -A "$sy_new" -p 0x0800 --ip-dst "$sy_block" -j redirect || exit
    done && sed -n 's/^# link //p' "$2" | while read -r sy_mac; do
      for sy_protocol in tcp udp; do
        ebtables --concurrent -t nat -A "$sy_new" -p 0x86dd -d "$sy_mac" --ip6-dst fe80::/10 \
          --ip6-proto "$sy_protocol" -j DROP || exit
      done
    done && ebtables --concurrent -t nat -I PREROUTING 1 -j "$sy_new" || return
  fi
  sy_ebt_drop "$sy_old"
}
sy_ipt_load() {
  # the first line has the prefix of our chains
  read -r sy_skip sy_skip sy_prefix <"$1"
  sy_ebt_load "${sy_prefix}bridge" "$1" || return
  (umask 077 && sy_ipt_merged "$sy_prefix" "$1") && iptables-restore --noflush -w 10 <"$1.merged"
  sy_status=$?
  # the text that is kept tells what there is of ours; this one won't be
  [ "$sy_status" = 0 ] || [ -z "$sy_bridges" ] || sy_ebt_bridged || sy_ebt_drop "$sy_new"
  rm -f "$1.there" "$1.merged"
  return "$sy_status"
}
sy_ipt_unload() {
  command -v iptables-save >/dev/null 2>&1 && [ -n "$(sy_ipt_list "$1")" ] || return 0
  sy_none=$sy_dir/net/none
  (umask 077 && { printf '# iptables SY-%s-\n' "${1##*_}"
    for sy_name in raw mangle nat filter; do printf '*%s\nCOMMIT\n' "$sy_name"; done; } >"$sy_none") &&
    sy_ipt_load "$sy_none"
  rm -f "$sy_none"
}
"""
)
"""Need `sy_dir`. `TABLE` in `sy_ipt_list TABLE`, `sy_ipt_unload TABLE`: as nft's would be called."""
