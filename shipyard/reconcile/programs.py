"""The programs that a project's files name, found without running any."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from shipyard.base.errors import ShipyardError
from shipyard.base.record import Struct
from shipyard.base.trust import Trust
from shipyard.files import kinds
from shipyard.files.ansiblevault import PROMPT, Keys
from shipyard.files.config import Settings
from shipyard.files.inventory import connection_of, executables
from shipyard.files.yamldoc import MAX_BYTES
from shipyard.model.inventory import Inventory
from shipyard.transport import arguments
from shipyard.transport.options import SshOptions
from shipyard.transport.programs import named

MAX_FILES = 2000
"""Files of playbooks that are looked at."""
_ENDINGS = (".yml", ".yaml")


class Program(Struct, frozen=True):
    """One program. `words`: as they stand in the files. `why`: what names it."""

    words: tuple[str, ...]
    why: str


def configured(settings: Settings) -> list[Program]:
    """Those of shipyard.toml and of the command line, and programs that are inventories."""
    found = [Program((str(path),), "an inventory") for path in executables(settings.inventory, cwd=settings.root)]
    if settings.secrets.command:
        found.append(Program(settings.secrets.command, "secrets.key_command"))
    if settings.fence:
        found.append(Program(settings.fence, "fence"))
    for identity in settings.vault:
        if identity.source != PROMPT and Path(identity.source).is_file() and os.access(identity.source, os.X_OK):
            found.append(Program((identity.source,), f"a vault password ({identity.origin})"))
    return found


def of_connections(inventory: Inventory, root: Path) -> list[Program]:
    """What the inventory's SSH options name: ProxyCommand, and files given by -F, which may name programs."""
    found: dict[tuple[str, ...], None] = {}
    options = SshOptions(trusted=Trust(root))
    for host in inventory.hosts:
        try:
            given = arguments.parse(connection_of(inventory, host).common_args)
            found.update(dict.fromkeys(named(given, options)))
        except ShipyardError:
            continue  # whoever connects is told
    return [Program(words, "SSH options of the inventory") for words in found]


def candidates(root: Path) -> list[Path]:
    """Files of the project that may be playbooks or Compose files with x-shipyard.command."""
    found = []
    for folder in (root, root / "playbooks"):
        for path in sorted(folder.glob("*"))[:MAX_FILES]:
            if path.suffix in _ENDINGS and path.is_file() and path.stat().st_size <= MAX_BYTES:
                text = path.read_bytes()
                if b"x-shipyard" in text and b"command" in text:
                    found.append(path)
    return found


def of_file(path: Path, inventory: Inventory, root: Path, environ: Mapping[str, str], keys: Keys) -> list[Program]:
    """What a file's secrets are told by. Raises UsageError, FileErrors."""
    loaded = kinds.load([path], inventory=inventory, project=root, environ=environ, keys=keys)
    commands = [secret.command for declared in loaded.secrets.values() for secret in declared if secret.command]
    return [Program(command, str(path)) for command in dict.fromkeys(commands)]
