"""A process from outside: how long it took, what CPU it used, how large it grew."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

Argv = Sequence[str]


@dataclass(frozen=True, slots=True)
class Cost:
    """`wall`, `cpu` (user and system): seconds. `peak`: bytes, of the largest process."""

    wall: float
    cpu: float
    peak: int


def measured(argv: Argv, *, cwd: Path, env: Mapping[str, str]) -> Cost:
    """Run one process to its end, with no terminal, as cron would. Raises RuntimeError where it fails.

    CPU counts the children that it waited for, too. The kernel counts this small process into the child's peak, from
    the moment between fork and exec, so peaks below its own size can't be seen.
    """
    return _all([argv], cwd=cwd, env=env, listen=True)


def together(argvs: Sequence[Argv], *, cwd: Path, env: Mapping[str, str]) -> Cost:
    """Start all of them at once; the time until the last has ended. What they print is thrown away."""
    return _all(argvs, cwd=cwd, env=env, listen=False)


def _all(argvs: Sequence[Argv], *, cwd: Path, env: Mapping[str, str], listen: bool) -> Cost:
    """`listen`: what they print on standard output is part of an error, too."""
    with tempfile.TemporaryFile() as said:
        output = said if listen else subprocess.DEVNULL
        began = monotonic()
        running = [
            subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=said)
            for argv in argvs
        ]
        cpu, peak, failed = 0.0, 0, []
        for index, process in enumerate(running):
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu += used.ru_utime + used.ru_stime
            peak = max(peak, used.ru_maxrss * 1024)
            if process.returncode != 0:
                failed.append(index)
        wall = monotonic() - began
        if failed:
            said.seek(0)
            words = said.read().decode(errors="replace").strip()[-2000:]
            raise RuntimeError(f"{len(failed)} of {len(running)} failed: {' '.join(argvs[failed[0]])}: {words}")
    return Cost(wall, cpu, peak)
