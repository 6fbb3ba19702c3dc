"""`environment` and `env_file`: what they come to together, names without a value read from here.

Secrets among them are carried out and said, since `inspect` shows them; `x-shipyard.hidden` says it for the file.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from shipyard.base.record import Struct
from shipyard.files.compose import dotenv, nearby
from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.scalars import boolean, pairs, sorted_pairs, text, texts, word
from shipyard.files.compose.substitution import Lookup
from shipyard.files.compose.value import MAX_TEXT, Value
from shipyard.model.container import Pairs
from shipyard.model.hiding import looks_secret

MAX_FILE = 1024 * 1024
SHORTEST = 6
"""Characters of a secret in this process's environment that is looked for within variables of containers."""
_ODD_NAME = re.compile(r"[\s=\x00-\x1f\x7f]")


class EnvFile(Struct, frozen=True):
    """One file named by `env_file`. `place`: where it is named."""

    path: str
    place: Value
    required: bool = True
    raw: bool = False


HIDDEN = Key(
    "hidden",
    "list",
    "Variables that hold secrets: the revision is encrypted, whatever they are called, and nothing is said of them.",
    texts,
)
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


def hidden(service: Value, variables: Pairs, said: Iterable[str]) -> tuple[str, ...]:
    """Which of the variables hold secrets though their names don't tell: those `said`, and those with one within.

    What looks like a secret and was not said to be one is noted.
    """
    told, known = frozenset(said), _secrets(tuple(service.reading.environ.items()))
    for name in sorted(told - {name for name, _ in variables}):
        service.notice(f"x-shipyard.hidden names {name}, which the container does not get")
    found = {name for name, _ in variables if name in told}
    for name, value in variables:
        looks, within = looks_secret(name, value), any(each in value for each in known)
        if within and not looks:
            found.add(name)
        if (looks or within) and name not in told:
            _place(service, name).notice(
                f"{name} stands in the environment, where inspect shows it; secrets: would hide it"
            )
    return tuple(sorted(found))


@functools.lru_cache(maxsize=8)
def _secrets(environ: Pairs) -> tuple[str, ...]:
    """Values here that look like secrets: where a file puts one into another text, that is no less one."""
    return tuple(value for name, value in environ if len(value) >= SHORTEST and looks_secret(name, value))


def _place(service: Value, name: str) -> Value:
    """Where a variable is written."""
    said = service.data.get("environment")
    at = service.child("environment", said)
    if isinstance(said, dict) and name in said:
        return at.child(name, said[name])
    for index, item in enumerate(said if isinstance(said, list) else ()):
        if str(item).partition("=")[0] == name:
            return at.child(index, item)
    return service.child("env_file", None)


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
