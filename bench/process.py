"""A process from outside: how long it took, what CPU it used, how large it grew."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import BinaryIO

Argv = Sequence[str]
_SHOWN = 1000
"""Characters of a failed run's output that are shown, of both ends."""


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
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        output = said if listen else subprocess.DEVNULL
        began = monotonic()
        running = [
            subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=complained)
            for argv in argvs
        ]
        cpu, peak, failed = 0.0, 0, []
        for index, process in enumerate(running):
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu += used.ru_utime + used.ru_stime
            peak = max(peak, used.ru_maxrss * 1024)
            if process.returncode != 0:
                failed.append(f"{shlex.join(argvs[index])} ended with {process.returncode}")
        wall = monotonic() - began
        if failed:
            words = "\n".join((_shortened(complained), _shortened(said)))
            raise RuntimeError(f"{len(failed)} of {len(running)} failed: {failed[0]}\n{words}")
    return Cost(wall, cpu, peak)


def _shortened(file: BinaryIO) -> str:
    """Beginning and end of what was printed."""
    file.seek(0)
    text = file.read().decode(errors="replace").strip()
    return text if len(text) < 2 * _SHOWN else f"{text[:_SHOWN]}\n…\n{text[-_SHOWN:]}"
