"""How a table of nft is replaced so that no packet meets none of it: its hooks stay, and get other rules.

`delete table` and a new one, in one transaction, is atomic for whoever lists the rules. A packet goes by two hooks
then, the new one and the old one. Where the transaction ends in between, both have no rules for it, and it is not
translated, or not kept apart. So chains that are in the new rules as well stay, are flushed and filled anew.
"""

from __future__ import annotations

from shipyard.base import shell

_TRANSACTION = r"""
  new {
    if ($1 == "table" && $4 == "{") { family = $2; wanted[family] = 1 }
    if ($1 == "chain") stays[family, $2] = 1
    # `table F NAME` and `delete table F NAME`, by which it replaces the whole table
    if ($1 != "delete" && !($1 == "table" && NF == 3)) text[++lines] = $0
    next
  }
  $1 == "table" {
    family = $2
    here = $3 == name && family in wanted
    if ($3 == name && !seen[family]++) print (here ? "flush" : "delete") " table " family " " name
  }
  !here { next }
  $1 == "set" || $1 == "map" { map[++maps] = "delete " $1 " " family " " name " " $2 }
  $1 == "chain" && !((family, $2) in stays) { chain[++chains] = "delete chain " family " " name " " $2 }
  END {
    # maps lead to chains, and go before them
    for (i = 1; i <= maps; i++) print map[i]
    for (i = 1; i <= chains; i++) print chain[i]
    for (i = 1; i <= lines; i++) print text[i]
  }
"""
"""Of the new text (`new` is set) and of a listing of all tables, of which this one's name is `name`."""

FUNCTIONS = (
    r"""
sy_net_swap() {
  # Names alone: to list the rules of a thousand services takes half a second. Where it can't be done so (a hook is
  # another one than before), the text by itself deletes the table and makes it anew.
  if sy_there=$(nft list chains && nft -t list sets && nft -t list maps) && printf '%s\n' "$sy_there" |
    awk @TRANSACTION@ name="$1" new=1 "$2" new= - >"$2.swap" && nft -f "$2.swap" 2>/dev/null; then
    rm -f "$2.swap"
    return 0
  fi
  rm -f "$2.swap"
  nft -f "$2"
}
"""
).replace("@TRANSACTION@", shell.quote(_TRANSACTION))
"""`sy_net_swap TABLE FILE`; to be called with a umask by which the file beside it is its owner's alone."""
