"""What a node says of itself: asked with three processes, since a pass lives on few."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shipyard.base.text import one_line
from shipyard.model.observed import Facts
from shipyard.runtime.dialect import RuntimeState

SCRIPT = r"""
sy_first() { sy_line=''; read -r sy_line 2>/dev/null <"$2" && printf '%s %s\n' "$1" "$sy_line"; }
sy_facts() {
  printf 'clock '; date +%s.%N
  printf 'uname '; uname -srm
  printf 'user '; id -un 2>/dev/null || echo "$sy_uid"
  printf 'uid %s\n' "$sy_uid"
  sy_first hostname /proc/sys/kernel/hostname
  sy_first boot /proc/sys/kernel/random/boot_id
  sy_first uptime /proc/uptime
  sy_first cpus /sys/devices/system/cpu/online || { printf 'nproc '; nproc; }
  sy_first memory /proc/meminfo
  if [ -d /run/systemd/system ]; then echo 'systemd yes'; fi
  if [ -r /etc/os-release ]; then
    while read -r sy_line; do
      case $sy_line in PRETTY_NAME=*) printf 'os %s\n' "${sy_line#*=}" ;; esac
    done </etc/os-release
  fi
  return 0
}
section facts sy_facts
"""

_FLOAT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_CLOCK = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(?:\.%?N)?")
"""Some busyboxes know no `%N`, and print it as it is."""


def parse(body: bytes) -> Mapping[str, str]:
    """What the script printed, a line for each fact."""
    pairs = (line.partition(" ") for line in body.decode("utf-8", "replace").splitlines())
    return {name: one_line(value) for name, _, value in pairs}


def clock(said: Mapping[str, str]) -> float:
    """The node's own unix seconds. Raises ValueError where it told none."""
    found = _CLOCK.fullmatch(said.get("clock", ""))
    if found is None:
        raise ValueError("it did not say what time it is there (date +%s.%N)")
    return float(found[1])


def facts(said: Mapping[str, str], node_id: str, runtime: str, state: RuntimeState) -> Facts:
    """All of it. What could not be read is empty or zero."""
    kernel, release, arch = (*said.get("uname", "").split(), "", "", "")[:3]
    memory = said.get("memory", "").split()
    return Facts(
        node_id=node_id,
        hostname=said.get("hostname", ""),
        os=said.get("os", kernel).strip("\"'"),
        arch=arch,
        kernel=release,
        cpus=_cpus(said),
        memory=int(_number(memory[1]) * 1024) if len(memory) > 1 and memory[0] == "MemTotal:" else 0,
        clock=clock(said),
        boot_id=said.get("boot", ""),
        uptime=_number(said.get("uptime", "").partition(" ")[0]),
        systemd=said.get("systemd") == "yes",
        rootless=state.rootless,
        user=said.get("user", ""),
        runtime=runtime,
        runtime_version=one_line(state.version, 60),
        platform=kernel,
    )


def _cpus(said: Mapping[str, str]) -> int:
    """Of the kernel's list (`0-3,6`)."""
    count = 0
    for part in said.get("cpus", "").split(","):
        first, _, last = part.partition("-")
        if first:
            count += int(_number(last or first) - _number(first)) + 1
    return max(count, int(_number(said.get("nproc", ""))))


def _number(word: str) -> float:
    return float(word) if _FLOAT.fullmatch(word) else 0.0
