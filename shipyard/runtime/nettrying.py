"""Shell text that tries connections from inside containers' network namespaces, with the node's own tools."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address

from shipyard.base import shell
from shipyard.runtime import probing

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

_LISTENING = r"""
sy_listening() {
  sy_running @NAMES@ | while read -r sy_name sy_pid; do
    awk -v "name=$sy_name" 'FNR > 1 && $4 == "0A" { n = split($2, at, ":")
      if (at[1] !~ /7F$/ && at[1] !~ /^0+1000000$/) print name, at[n], length(at[1]) == 32 ? 6 : 4 }' \
      "/proc/$sy_pid/net/tcp" "/proc/$sy_pid/net/tcp6" 2>/dev/null
  done
  return 0
}
section listening sy_listening
"""

_TRY = r"""
sy_tries() {
  if command -v bash >/dev/null 2>&1; then
    sy_try() { nsenter --target "$1" --net timeout @SECONDS@ bash -c ": </dev/tcp/$2/$3" 2>&1; }
  elif command -v nc >/dev/null 2>&1; then
    sy_try() { nsenter --target "$1" --net nc -z -w @SECONDS@ "$2" "$3" 2>&1 </dev/null; }
  else
    echo none
    return 0
  fi
  sy_all="
$(sy_running @NAMES@)
"
  @TRIES@
  return 0
}
sy_one() {
  sy_pid=${sy_all#*"
$2 "}
  sy_pid=${sy_pid%%"
"*}
  if [ -z "$sy_pid" ]; then
    printf '%s gone\n' "$1"
  elif sy_said=$(sy_try "$sy_pid" "$3" "$4"); then
    printf '%s yes\n' "$1"
  else
    printf '%s no %s\n' "$1" "$(printf '%s' "$sy_said" | head -n 1)"
  fi
}
section tries sy_tries
"""


def listening(runtime: str, containers: Sequence[str]) -> str:
    """Prints `NAME PORT FAMILY` (hexadecimal; 4 or 6) for each TCP port that is open to others."""
    names = shell.join(_checked(name) for name in containers)
    return probing.running(runtime) + _LISTENING.replace("@NAMES@", names)


def tries(runtime: str, wanted: Sequence[tuple[int, str, str, int]], seconds: int) -> str:
    """Prints `NUMBER yes`, `NUMBER no WORDS` or `NUMBER gone` for each (number, container, address, port).

    All at once, since those that fail take their time.
    """
    calls = "\n  ".join(
        shell.join(("sy_one", str(number), _checked(name), str(ip_address(address)), str(port))) + " &"
        for number, name, address, port in wanted
    )
    names = shell.join(sorted({_checked(name) for _, name, _, _ in wanted}))
    text = _TRY.replace("@TRIES@", f"{calls}\n  wait").replace("@NAMES@", names)
    return probing.running(runtime) + text.replace("@SECONDS@", str(seconds))


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a container's name: {name!r}")
    return name
