"""Commands of this machine, run to the end; a failure says what was being done, in the command's own words."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shipyard.base.errors import LabError
from shipyard.base.text import tail

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a server's own tools are, whatever the caller's PATH leaves out (`sbin`, under cron) or puts first."""


def environment() -> dict[str, str]:
    """For the machine's own tools: the caller's, with their places on PATH, and messages in English."""
    return {**os.environ, "PATH": f"/usr/sbin:/usr/bin:{SYSTEM_PATH}", "LC_ALL": "C.UTF-8"}


def run(
    argv: Sequence[str], *, doing: str, input: bytes | None = None, timeout: float | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run to the end, output captured. Raises LabError unless it exits with 0."""
    done = attempt(argv, input=input, timeout=timeout)
    if done.returncode != 0:
        words = tail((done.stderr or done.stdout).decode(errors="replace")) or f"it exited with {done.returncode}"
        raise LabError(f"{doing}: `{argv[0]}` failed: {words}")
    return done


def attempt(
    argv: Sequence[str],
    *,
    input: bytes | None = None,
    stdin: Path | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run to the end, output captured, whatever comes of it. Raises LabError where it is missing or takes too long.

    It inherits the lock of the lab that is being changed: if we are killed, whoever comes next waits for its end.

    Standard input is `input`, or the file `stdin`, or empty.
    """
    options: dict[str, Any] = {
        "capture_output": True,
        "timeout": timeout,
        "cwd": cwd,
        "close_fds": False,
        "env": environment(),
    }
    try:
        if stdin is None:
            return subprocess.run(argv, check=False, input=b"" if input is None else input, **options)
        with stdin.open("rb") as source:
            return subprocess.run(argv, check=False, stdin=source, **options)
    except FileNotFoundError as error:
        raise LabError(f"`{error.filename}` is not on this machine", hint="run scripts/bootstrap") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{argv[0]}` did not end within {timeout:.0f} s") from error
