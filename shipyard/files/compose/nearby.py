"""Files that a file names: read from inside the project only, whole, and never larger than they should be."""

from __future__ import annotations

import stat
from pathlib import Path

from shipyard.files.compose.value import Value

MAX_CONFIG = 1000 * 1024
"""Bytes of a config, as Swarm has it; one is sent to every node that needs it."""
MAX_SECRET = 500 * 1024
"""Likewise of a secret."""


def read(value: Value, name: str, limit: int) -> bytes | None:
    """The content of a file named relative to the file that names it. None when there is no such file."""
    path = locate(value, name)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise value.error(f"{name} is not a regular file")
        if status.st_size > limit:
            raise value.error(f"{name} is larger than {limit // 1024} KiB")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise value.error(f"{name} can't be read: {error.strerror}") from error
    if len(content) > limit:
        raise value.error(f"{name} is larger than {limit // 1024} KiB")
    return content


def content(value: Value, source: str, said: str, limit: int) -> bytes:
    """Of a config or secret, from where the declaration says: `file`, `environment`, or what stands there itself."""
    if source == "file":
        found = read(value, said, limit)
        if found is None:
            raise value.error(f"there is no file {said}")
        return found
    if source == "environment":
        if said not in value.reading.environ:
            raise value.error(f"the environment variable {said} is not set")
        said = value.reading.environ[said]
    encoded = said.encode(errors="surrogateescape")
    if len(encoded) > limit:
        raise value.error(f"is larger than {limit // 1024} KiB")
    return encoded


def locate(value: Value, name: str) -> Path:
    """Where the file is, symbolic links followed, and inside the project for sure."""
    reading = value.reading
    if "\0" in name:
        raise value.error("a path can't hold a NUL character")
    try:
        path = (reading.folder / name).resolve()
        inside = path.is_relative_to(reading.project.resolve())
    except (OSError, RuntimeError) as error:
        raise value.error(f"{name} can't be followed: {error}") from error
    if not inside:
        raise value.error(
            f"{name} is outside the project, from which files are taken", hint=f"the project is {reading.project}"
        )
    return path
