"""Binds of relative paths: files of the project that are sent to the nodes, as configs are, by their content.

A container there can't write them, and a changed content rolls out.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from pathlib import Path

from shipyard.files.compose import nearby
from shipyard.files.compose.value import Value
from shipyard.model.canonical import digest
from shipyard.model.container import ConfigMount
from shipyard.model.spec import ConfigSpec

MAX_FILES = 200
"""Each is a mount of its own."""
MAX_FILE = 500 * 1024
"""Bytes of one of them."""
MAX_TOTAL = 1024 * 1024
"""Bytes of one bind: they are part of every revision of the stack."""
_DATA = "data that the container keeps belongs in a named volume; other things into the image"


def files(value: Value, said: str, target: str, *, read_only: bool) -> tuple[ConfigMount, ...]:
    """The files at a relative path, each with its place below `target`. Raises FileError: none, too many, too large."""
    path = nearby.locate(value, said)
    if not path.exists():
        raise value.error(f"there is no {said} beside this file, which would be sent to the nodes", hint=_DATA)
    names = _below(value, path, said) if path.is_dir() else [""]
    if not read_only:
        value.notice(f"{said} is sent to the nodes, where the container can't write it")
    made, total = [], 0
    for name in names:
        shown = posixpath.join(said, name) if name else said
        content = nearby.read(value, shown, MAX_FILE)
        if content is None:
            raise value.error(f"{shown} leads to no file")
        total += len(content)
        if total > MAX_TOTAL:
            raise value.error(f"{said} holds more than {MAX_TOTAL // 1024} KiB, which is not sent", hint=_DATA)
        executable = os.access(nearby.locate(value, shown), os.X_OK)
        made.append(_mount(value, shown, content, posixpath.join(target, name) if name else target, executable))
    return tuple(made)


def _mount(value: Value, shown: str, content: bytes, target: str, executable: bool) -> ConfigMount:
    declared = value.reading.resources.configs
    key = f"sent-{hashlib.sha256(posixpath.normpath(shown).encode()).hexdigest()[:16]}"
    spec = ConfigSpec(f"{value.reading.resources.stack}_{key}", key, content, digest(content))
    declared.specs[key] = spec
    declared.used.add(key)
    return ConfigMount(spec.name, spec.digest, target, mode=0o555 if executable else None)


def _below(value: Value, path: Path, said: str) -> list[str]:
    """The files of a folder, sorted. What is neither file nor folder is not sent, which is said."""
    found: list[str] = []
    for folder, folders, names in os.walk(path):
        for name in (*names, *(each for each in folders if Path(folder, each).is_symlink())):
            full = Path(folder, name)
            shown = full.relative_to(path).as_posix()
            if full.is_file():
                found.append(shown)
            else:
                value.notice(f"{said}/{shown} is no file, and is not sent to the nodes")
        if not names and not folders:
            value.notice(f"{Path(said, Path(folder).relative_to(path)).as_posix()} is an empty folder, and is not sent")
        if len(found) > MAX_FILES:
            raise value.error(f"{said} holds more than {MAX_FILES} files, which are not sent", hint=_DATA)
    return sorted(found)
