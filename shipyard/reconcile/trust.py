"""Whether programs that a project folder brings along (inventory scripts, ProxyCommand, what tells secrets) may be run.

The answer is kept outside the project, under the user's own state folder: a project can't trust itself. It is of the
programs as they were: one that was changed since, or is new, is asked about again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from shipyard.base.errors import ConfigError
from shipyard.base.trust import Trust, fingerprint

_FOLDER = "-"
"""In place of a digest: the folder was trusted, whatever programs it had."""


def _register() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "shipyard" / "trusted"


def trust_of(folder: Path) -> Trust:
    """What `shipyard trust-project` was told about this very folder."""
    try:
        lines = _register().read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return Trust(folder)
    here = str(folder.resolve())
    known = {digest for digest, _, name in (line.partition(" ") for line in lines) if name == here}
    return Trust(folder, known - {_FOLDER} if known else None)


def record(folder: Path, programs: Iterable[tuple[str, ...]]) -> Path:
    """These are the folder's trusted programs, and no others; returns the register. Raises ConfigError."""
    register, here = _register(), str(folder.resolve())
    if "\n" in here:
        raise ConfigError("a folder whose name holds a line break can't be trusted")
    digests = sorted({fingerprint(words, folder) for words in programs})
    try:
        register.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = register.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if register.exists() else []
        kept = [line for line in kept if line.partition(" ")[2] != here and " " in line and not line.startswith("/")]
        fresh = register.with_name(f".{register.name}.{os.getpid()}")
        text = "".join(f"{line}\n" for line in (*kept, *(f"{digest} {here}" for digest in (_FOLDER, *digests))))
        fresh.write_text(text, encoding="utf-8", errors="surrogateescape")
        fresh.replace(register)
    except OSError as error:
        raise ConfigError(f"{register} can't be written: {error.strerror}") from error
    return register
