"""Whether programs that a project folder brings along (inventory scripts, ProxyCommand, what tells secrets) may be run.

The answer is kept outside the project, under the user's own state folder: a project can't trust itself.
"""

from __future__ import annotations

import os
from pathlib import Path

from shipyard.base.errors import ConfigError


def _register() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "shipyard" / "trusted"


def is_trusted(folder: Path) -> bool:
    """Whether `shipyard trust-project` was run for this very folder."""
    try:
        lines = _register().read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return str(folder.resolve()) in lines


def trust(folder: Path) -> Path:
    """Remember the folder as trusted; returns the register. Raises ConfigError when it can't be written."""
    register = _register()
    try:
        register.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not is_trusted(folder):
            with register.open("a", encoding="utf-8") as file:
                file.write(f"{folder.resolve()}\n")
    except OSError as error:
        raise ConfigError(f"{register} can't be written: {error.strerror}") from error
    return register
