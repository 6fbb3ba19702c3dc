"""group_vars and host_vars: the files beside an inventory or a playbook that hold variables by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from shipyard.base.errors import FileError
from shipyard.files.ansiblevault import Keys
from shipyard.files.inventory import structured

EXTENSIONS = ("", ".yml", ".yaml", ".json")
MAX_BYTES = 16 * 1024 * 1024


def read_bytes(path: Path, file: str, keys: Keys) -> bytes:
    """The contents of a file people wrote, with a bound, opened where all of it is encrypted. Raises FileError."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=file) from None
    if len(data) > MAX_BYTES:
        raise FileError(f"is larger than {MAX_BYTES // 2**20} MiB", file=file)
    return keys.plain(data, file)


class VarFiles:
    """The variable files beside one inventory source or playbook, each read once."""

    def __init__(self, folder: Path, shown: str, keys: Keys) -> None:
        self._folder, self._shown, self._keys = folder.resolve(), shown, keys
        self._entries: dict[str, frozenset[str]] = {}

    def of_group(self, name: str) -> dict[Any, Any]:
        """What `group_vars/NAME` says."""
        return self._variables("group_vars", name)

    def of_host(self, name: str) -> dict[Any, Any]:
        """What `host_vars/NAME` says."""
        return self._variables("host_vars", name)

    def _variables(self, kind: str, name: str) -> dict[Any, Any]:
        entries = self._entries.get(kind)
        if entries is None:
            entries = self._entries[kind] = self._list(kind)
        if not entries:
            return {}
        found = next((name + extension for extension in EXTENSIONS if name + extension in entries), None)
        if found is None:
            return {}
        variables: dict[Any, Any] = {}
        for relative in self._files(Path(kind) / found):
            variables.update(self._load(relative))
        return variables

    def _list(self, kind: str) -> frozenset[str]:
        try:
            return frozenset(os.listdir(self._folder / kind))  # noqa: PTH208  # names are wanted, not paths
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()
        except OSError as error:
            raise FileError(f"can't be read: {error.strerror}", file=os.path.join(self._shown, kind)) from None  # noqa: PTH118  # as written

    def _files(self, relative: Path) -> list[Path]:
        """The file, or every file of the folder: sorted, with sub-folders, without hidden ones and backups."""
        if not (self._folder / relative).is_dir():
            return [relative]
        found: list[Path] = []
        for name in sorted(entry.name for entry in (self._folder / relative).iterdir()):
            if name.startswith(".") or name.endswith("~"):
                continue
            path = relative / name
            if (self._folder / path).is_dir():
                found += [] if path.suffix else self._files(path)
            elif path.suffix in EXTENSIONS and (self._folder / path).is_file():
                found.append(path)
        return found

    def _load(self, relative: Path) -> dict[Any, Any]:
        shown = os.path.normpath(os.path.join(self._shown, relative))  # noqa: PTH118  # pathlib would lose a leading ./
        document = structured.parse(read_bytes(self._folder / relative, shown, self._keys), shown, self._keys)
        if not document.data:
            return {}
        if not isinstance(document.data, dict):
            raise document.marks.error((), "holds no mapping of variables")
        return document.data
