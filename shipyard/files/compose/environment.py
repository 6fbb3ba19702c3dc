"""`environment` and `env_file`: what they come to together, names without a value read from here."""

from __future__ import annotations

import re

from shipyard.base.record import Struct
from shipyard.files.compose import dotenv, nearby
from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.scalars import boolean, pairs, sorted_pairs, text, word
from shipyard.files.compose.substitution import Lookup
from shipyard.files.compose.value import MAX_TEXT, Value
from shipyard.model.spec import Pairs

MAX_FILE = 1024 * 1024
_ODD_NAME = re.compile(r"[\s=\x00-\x1f\x7f]")


class EnvFile(Struct, frozen=True):
    """One file named by `env_file`. `place`: where it is named."""

    path: str
    place: Value
    required: bool = True
    raw: bool = False


FILE = Table(
    "an env_file",
    Key("path", "path", "The file, relative to this one and inside the project. Required.", text),
    Key("required", "boolean", "Whether it is an error when there is no such file.", boolean, "`true`"),
    Key("format", "`raw`", "`raw`: values as they stand, no quotes and no `$NAME`.", word("raw"), "Compose's"),
)


def environment(value: Value) -> dict[str, str | None]:
    """Names and values as written; None for a name whose value is to be read from here."""
    found = pairs(value)
    for name in found:
        if _ODD_NAME.search(name):
            raise value.error(f"{name!r} is no name of an environment variable: it holds white space or controls")
    return found


def env_files(value: Value) -> tuple[EnvFile, ...]:
    """A path, or a list of paths and of mappings."""
    if isinstance(value.data, str):
        return (EnvFile(value.text("a path", empty=False), value),)
    files: list[EnvFile] = []
    for item in value.items("a path or a list of paths"):
        with value.reading.collect():
            if isinstance(item.data, str):
                files.append(EnvFile(item.text("a path", empty=False), item))
                continue
            got = FILE.read(item)
            if "path" not in got:
                raise item.error("has no path")
            files.append(EnvFile(got["path"], item, got.get("required", True), got.get("format") == "raw"))
    return tuple(files)


def resolve(service: Value, written: dict[str, str | None], files: tuple[EnvFile, ...]) -> Pairs:
    """All variables, sorted: what is written in `environment` wins over files, later files over earlier ones."""
    environ = service.reading.environ

    def lookup(name: str) -> str | None:
        value = written.get(name)
        return environ.get(name) if value is None else value

    result: dict[str, str] = {}
    for file in files:
        with service.reading.collect():
            _read_file(file, result, lookup)
    for name, value in written.items():
        said = environ.get(name) if value is None else value
        if said is None:
            result.pop(name, None)
            service.notice(f"{name} is not set here, so the container does not get it")
        else:
            result[name] = said
    for name, value in result.items():
        if len(service.checked(value, empty=True)) + len(name) > MAX_TEXT // 4 and _size(name, value) > MAX_TEXT:
            raise service.error(f"the value of {name} is longer than 128 KiB, which Linux does not take")
    return sorted_pairs(result)


def _size(name: str, value: str) -> int:
    return len(f"{name}={value}".encode())


def _read_file(file: EnvFile, into: dict[str, str], lookup: Lookup) -> None:
    content = nearby.read(file.place, file.path, MAX_FILE)
    if content is None:
        if file.required:
            raise file.place.error(f"there is no file {file.path}", hint="add required: false if it may be missing")
        return
    try:
        parse = dotenv.parse_raw if file.raw else dotenv.parse
        parse(content.decode("utf-8-sig"), into, lookup)
    except UnicodeDecodeError as error:
        raise file.place.error(f"{file.path} is not UTF-8 text") from error
    except ValueError as error:
        raise file.place.error(f"{file.path}: {error}") from error
    if any("\0" in value for value in into.values()):
        raise file.place.error(f"{file.path} holds a NUL character, which no container can be given")
