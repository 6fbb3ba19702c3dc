"""Programs that tell a secret: password managers, run on the control machine, without a shell.

What they print is the secret, so it is in no error; what they say on standard error is.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from shipyard.base.errors import ConfigError
from shipyard.base.secret import SecretBytes
from shipyard.base.text import last_words, printable

TIMEOUT = 60.0
"""Seconds: somebody may have to unlock a keychain."""


def ask(
    argv: Sequence[str], *, environ: Mapping[str, str], folder: Path, limit: int, timeout: float = TIMEOUT
) -> SecretBytes:
    """What the program prints. Raises ConfigError: it is missing, failed, printed more than `limit` bytes, is slow.

    It keeps the terminal, where it may ask for a password, but reads nothing from standard input.
    """
    name = printable(argv[0])
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=dict(environ), cwd=folder
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigError(f"{name} can't be run: {why}") from None
        said = _read(process, limit, timeout)
        if said is None:
            raise ConfigError(f"{name} did not end within {timeout:g} s")
        if len(said) > limit:
            raise ConfigError(f"{name} printed more than {limit // 1024} KiB")
        if process.returncode != 0:
            errors.seek(0)
            words = last_words(errors.read(64 * 1024).decode("utf-8", "replace"))
            raise ConfigError(f"{name} ended with status {process.returncode}: {words or 'it said nothing'}")
    return said


def _read(process: subprocess.Popen[bytes], limit: int, timeout: float) -> SecretBytes | None:
    """None when it took too long. Read beside, since what it started may keep its output open for ever."""
    found: list[SecretBytes] = []

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as output:
            found.append(SecretBytes(output.read(limit + 1)))
        process.wait()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(timeout)
    if reader.is_alive():
        process.kill()
        process.wait()
        return None
    return found[0]
