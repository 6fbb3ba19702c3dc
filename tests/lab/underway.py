"""Catching the program in the middle of its work."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from tests.lab.fleet import Fleet
from tests.lab.stacks import WEB

SLOW = WEB.replace('[httpd, -f, -p, "8080", -h, /]', """[sh, -c, "trap '' TERM; while :; do sleep 0.1; done"]""")
SLOW = SLOW.replace("stop_grace_period: 1s", "stop_grace_period: 3s")
"""Its containers take three seconds to stop."""


def until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def at_work(fleet: Fleet) -> bool:
    """Whether a container is being stopped on some node."""
    return any(" stop -t " in fleet.run(node, "ps", "axww") for node in fleet.names)
