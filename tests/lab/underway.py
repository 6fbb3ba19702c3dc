"""Catching the program in the middle of its work."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.lab.fleet import Fleet
from tests.lab.stacks import WEB

SLOW = WEB.replace('[httpd, -f, -p, "8080", -h, /]', """[sh, -c, "trap '' TERM; while :; do sleep 0.1; done"]""")
SLOW = SLOW.replace("stop_grace_period: 0s", "stop_grace_period: 3s")
"""Its containers take three seconds to stop."""

REMOVING = ("podman rm --force", "docker stop")
"""How a container's removal begins."""

_HOLD = r"""
printf '%s\n' "$@" >/run/hold
mkdir -p /usr/local/bin
for program in podman docker nft; do
    real=$(command -v "$program") || continue
    cat >"/usr/local/bin/$program" <<END
#!/bin/sh
while read -r step; do
    case "$program \$* " in
        "\$step "*) : >/run/held; while [ -e /run/hold ]; do sleep 0.02; done; break ;;
    esac
done 2>/dev/null </run/hold
exec $real "\$@"
END
    chmod 755 "/usr/local/bin/$program"
done
"""
"""In front of a node's own programs: what begins with one of these words waits as long as the list of them is there."""
_LET_GO = "rm -f /run/hold /run/held /usr/local/bin/podman /usr/local/bin/docker /usr/local/bin/nft"


def until(holds: Callable[[], bool], process: subprocess.Popen[str], *, every: float = 0.02) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(every)


def at_work(fleet: Fleet) -> bool:
    """Whether a container is being stopped on some node."""
    return any(" stop -t " in fleet.run(node, "ps", "axww") for node in fleet.names)


@contextmanager
def held(fleet: Fleet, steps: Sequence[str], nodes: Sequence[str]) -> Iterator[Callable[[], bool]]:
    """Meanwhile none of these steps goes on, on these nodes. Gives whether each of the nodes has come to one.

    `steps`: how their commands begin, as in "docker network rm". They go on in the end.
    """
    for node in nodes:
        fleet.run(node, "sh", "-c", _HOLD, "sh", *steps)
    try:
        yield lambda: all(fleet.run(node, "sh", "-c", "ls /run/held 2>&1", check=False)[:1] == "/" for node in nodes)
    finally:
        for node in nodes:
            fleet.run(node, "sh", "-c", _LET_GO)
