"""What containers use, by the runtimes' own `stats`: the shell text that asks, and what it prints read back.

Docker measures over a second by itself. Podman's share of a CPU is the average since the container was started, which
tells nothing of now: its counters are read twice instead, a second apart.

A runtime that can't say it (rootless with the old cgroups) prints nothing: the use is then unknown, and no failure.
"""

from __future__ import annotations

import re

from shipyard.model.observed import Usage

SECTION = "usage"

_DOCKER = r"""
sy_rt_usage() {
  @PROGRAM@ stats --no-stream --no-trunc --format '{{.ID}} {{.CPUPerc}} {{.MemUsage}}' 2>/dev/null
  return 0
}
section usage sy_rt_usage
"""
_PODMAN = r"""
sy_rt_used() {
  podman stats --no-stream --no-trunc --format '{{.ContainerID}} {{.CPUNano}} {{.SystemNano}} {{.MemUsage}}' 2>/dev/null
}
sy_rt_usage() {
  sy_rt_used && sleep 1 && sy_rt_used
  return 0
}
section usage sy_rt_usage
"""

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kKMGTP]?)(i?)B")
_ID = re.compile(r"[0-9a-f]{64}")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


def docker(program: str) -> str:
    """The section, for docker and what speaks as it does."""
    return _DOCKER.replace("@PROGRAM@", program)


def podman() -> str:
    return _PODMAN


def of_docker(body: bytes) -> tuple[Usage, ...]:
    """`ID 12.34% 1.5MiB / 2GiB`: 100 % is one core. Lines that say nothing are left out."""
    found = {}
    for words in _lines(body):
        match = _PERCENT.fullmatch(words[1])
        cpu = float(match[1]) / 100 if match else None
        found[words[0]] = Usage(words[0], cpu, size(words[2]))
    return tuple(found[identity] for identity in sorted(found))


def of_podman(body: bytes) -> tuple[Usage, ...]:
    """`ID CPU-NANOSECONDS TIME-NANOSECONDS 1.5MB / 2GB`, twice for each."""
    found: dict[str, Usage] = {}
    before: dict[str, tuple[int, int]] = {}
    for words in _lines(body):
        identity = words[0]
        if len(words) < 4 or not words[1].isdecimal() or not words[2].isdecimal() or words[2] == "0":
            continue  # one that does not run
        used, at = int(words[1]), int(words[2])
        cpu = None
        if identity in before:
            passed = at - before[identity][1]
            cpu = max(0.0, (used - before[identity][0]) / passed) if passed > 0 else None
        before.setdefault(identity, (used, at))
        found[identity] = Usage(identity, cpu, size(words[3]))
    return tuple(found[identity] for identity in sorted(found))


def size(text: str) -> int | None:
    """Bytes of `1.5MiB` (docker: powers of 1024) or `1.5MB` (podman: powers of 1000); None where it is no size."""
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    return int(float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2]])


def _lines(body: bytes) -> list[list[str]]:
    """The words of lines about a container."""
    split = (line.split() for line in body.decode("utf-8", "replace").splitlines())
    return [words for words in split if len(words) >= 3 and _ID.fullmatch(words[0])]
