"""Which reader an inventory source needs: a host list, a folder of sources, a script, YAML, TOML or INI."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from shipyard.base.errors import FileError
from shipyard.base.record import Struct
from shipyard.base.trust import HINT, NOTHING, Trust
from shipyard.files.ansiblevault import Keys
from shipyard.files.inventory import ini, script, structured, tables
from shipyard.files.inventory.draft import Draft
from shipyard.files.inventory.hostnames import BadNameError, parse_address
from shipyard.files.inventory.varfiles import read_bytes
from shipyard.files.values import user_path

_IGNORED = re.compile(
    r"^\.|^(?:host_vars|group_vars|vars_plugins)$|\.(?:pyc|pyo|swp|bak|rpm|md|txt|rst|orig|cfg|retry)$|~$"
)
_YAML_EXTENSIONS = ("", ".yml", ".yaml", ".json")
MAX_FOLDERS = 16
"""Folders within folders."""


class Reading(Struct, frozen=True):
    """How sources are read. `trusted`: which programs may be run. `keys`: what opens encrypted files and values."""

    keys: Keys
    trusted: Trust = NOTHING


def is_host_list(source: str, path: Path) -> bool:
    """Whether `-i` was given names (`a,b,`) and not a path."""
    return "," in source and not path.exists()


def read(source: str, path: Path, draft: Draft, *, reading: Reading, depth: int = 0) -> None:
    """Read one source into the draft; `source` is how it is called in messages. Raises FileError."""
    if is_host_list(source, path):
        _host_list(source, draft)
    elif path.is_dir():
        if depth > MAX_FOLDERS:
            raise FileError(f"folders are nested deeper than {MAX_FOLDERS} levels", file=source)
        _folder(source, path, draft, reading=reading, depth=depth)
    elif not path.exists():
        raise FileError(
            "there is no such inventory", file=source, hint="a host list needs a comma: `-i host,`; a path must exist"
        )
    else:
        draft.source = (str(path), str(path.parent))
        _file(source, path, draft, reading=reading)


def _host_list(source: str, draft: Draft) -> None:
    draft.source = (source, None)
    for word in filter(None, (part.strip() for part in source.split(","))):
        found = parse_address(word)
        name, port = found if found and "[" not in found[0] else (word, None)
        if name not in draft.hosts:
            try:
                draft.add_host(name, "ungrouped", port)
            except BadNameError as error:
                raise FileError(str(error), file=source) from None


def _folder(source: str, path: Path, draft: Draft, *, reading: Reading, depth: int) -> None:
    try:
        names = sorted(entry.name for entry in path.iterdir() if not _IGNORED.search(entry.name))
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=source) from None
    if not names and depth == 0:
        raise FileError("this folder holds no inventory", file=source)
    for name in names:
        read(os.path.join(source, name), path / name, draft, reading=reading, depth=depth + 1)  # noqa: PTH118  # as written


def _file(source: str, path: Path, draft: Draft, *, reading: Reading) -> None:
    if os.access(path, os.X_OK) and _is_program(path):
        if not reading.trusted.allows((str(path),)):
            hint = f"{HINT}; a plain inventory must not be executable"
            raise FileError(reading.trusted.refusal, file=source, hint=hint)
        script.read(path, source, draft, reading.keys)
        return
    data = read_bytes(path, source, reading.keys)
    if path.suffix == ".toml":
        tables.read(data, source, draft)
        return
    if path.suffix in _YAML_EXTENSIONS and _read_structured(source, path, data, draft, reading.keys):
        return
    ini.read(data, source, draft)


def executables(sources: Iterable[str], cwd: Path) -> Iterator[Path]:
    """The programs among these sources, in the order in which they would be run."""
    for source in filter(None, sources):
        path = cwd.absolute() / user_path(source)
        if not is_host_list(source, path):
            yield from _executables(path, 0)


def _executables(path: Path, depth: int) -> Iterator[Path]:
    try:
        if path.is_dir() and depth <= MAX_FOLDERS:
            for name in sorted(entry.name for entry in path.iterdir() if not _IGNORED.search(entry.name)):
                yield from _executables(path / name, depth + 1)
        elif path.is_file() and os.access(path, os.X_OK) and _is_program(path):
            yield path
    except OSError:
        return  # whoever reads it is told


def _is_program(path: Path) -> bool:
    """A file with the execute bit that the system can't execute (a copy from Windows) is read like any other."""
    with path.open("rb") as stream:
        start = stream.read(4)
    return start.startswith((b"#!", b"\x7fELF")) or path.suffix in {".py", ".sh"}


def _read_structured(source: str, path: Path, data: bytes, draft: Draft, keys: Keys) -> bool:
    """Read it as YAML; False when it is not the YAML of an inventory, and may be INI."""
    try:
        document = structured.parse(data, source, keys)
    except FileError:
        if path.suffix and not _looks_like_ini(data):
            raise
        return False
    if isinstance(document.data, dict):
        if document.data:
            structured.read(document, draft)
        return True
    if document.data is not None and path.suffix and not _looks_like_ini(data):
        raise document.marks.error((), "holds no mapping of groups")
    return False


def _looks_like_ini(data: bytes) -> bool:
    """Whether the first line that says something is a section or a host."""
    for line in data.splitlines():
        text = line.strip()
        if text and text[:1] not in (b"#", b";"):
            return text != b"---" and not text.startswith((b"- ", b"{")) and not text.endswith(b":")
    return True
