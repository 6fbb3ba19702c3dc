"""Inventories as Ansible reads them: sources, groups, variables, and how each host is reached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shipyard.base.errors import FileError
from shipyard.base.trust import NOTHING, Trust
from shipyard.files.ansiblevault import Keys
from shipyard.files.inventory.connection import NodeSettings, connection_of, node_settings
from shipyard.files.inventory.draft import Draft
from shipyard.files.inventory.hostnames import BadNameError
from shipyard.files.inventory.merge import finished
from shipyard.files.inventory.sources import Reading, executables, is_host_list, read
from shipyard.files.inventory.varfiles import VarFiles
from shipyard.files.values import user_path
from shipyard.model.inventory import Inventory

__all__ = ["NodeSettings", "connection_of", "executables", "load", "node_settings"]


def load(
    sources: Sequence[str],
    *,
    cwd: Path,
    playbook_dirs: Sequence[Path] = (),
    trusted: Trust = NOTHING,
    keys: Keys | None = None,
    beside: bool = True,
) -> Inventory:
    """All sources as one inventory; the later overrides the earlier. Raises FileError.

    `sources`: paths as given with `-i` (relative to `cwd`), or host lists with a comma. `playbook_dirs`: where
    group_vars and host_vars are looked up besides. `trusted`: which programs may be run. `keys`: what opens
    encrypted files and values. `beside` False: no group_vars and host_vars, where nobody asks for variables.
    """
    draft = Draft()
    keys = Keys() if keys is None else keys
    places: dict[Path, VarFiles] = {}
    for source in filter(None, sources):
        path = cwd.absolute() / user_path(source)
        try:
            read(source, path, draft, reading=Reading(keys, trusted))
        except (OSError, ValueError) as error:
            raise FileError(f"can't be read: {getattr(error, 'strerror', None) or error}", file=source) from None
        if not is_host_list(source, path):
            folder = path if path.is_dir() else path.parent
            shown = Path(source) if path.is_dir() else Path(source).parent
            places.setdefault(folder, VarFiles(folder, str(shown), keys))
    try:
        draft.finish()
    except BadNameError as error:
        raise FileError(str(error), file=", ".join(sources)) from None
    playbook = [VarFiles(cwd / folder, str(folder), keys) for folder in dict.fromkeys(playbook_dirs)]
    return finished(draft, sources, list(places.values()) if beside else [], playbook if beside else [])
