"""Reading ssh_config as OpenSSH does, for hundreds of hosts at once.

`ssh -G` is the exact answer, at 5 to 10 ms of CPU a host; paramiko's reader ignores `Include` and takes what it does
not know in a Match line for true. So: files are read once and evaluated here, and where they hold what this reader
leaves out (`Match exec`, canonical names), `ssh -G` is asked.
"""

from __future__ import annotations

import fnmatch
import glob
import shlex
from pathlib import Path

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct, field
from shipyard.transport.arguments import split_option

_DEPTH = 16
_MAX_FILE = 4 * 1024 * 1024
_SEVERAL = frozenset({"identityfile", "certificatefile"})
_CRITERIA = frozenset({"all", "host", "originalhost", "user", "localuser"})


class NeedsOpenSshError(Exception):
    """The file holds something that only ssh itself evaluates. `where`: `file:line`."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where, self.what = where, what


class Subject(Struct, frozen=True):
    """Whom a lookup is about. `alias`: the name as given; `local_user`: who runs this process."""

    alias: str
    local_user: str


class Found(Struct):
    """What a lookup collects: the first value of each keyword, all values of those that add up."""

    values: dict[str, list[str]] = field(default_factory=dict)

    def first(self, key: str) -> str | None:
        """The value in force."""
        values = self.values.get(key)
        return values[0] if values else None

    def add(self, key: str, value: str) -> None:
        """As the next line of the files."""
        if key in _SEVERAL:
            self.values.setdefault(key, []).append(value)
        elif key not in self.values:
            self.values[key] = [value]


class _Block(Struct, frozen=True):
    """`Host` or `Match` with its words, inside `parent` where a file was included in a block."""

    kind: str
    words: tuple[str, ...]
    where: str
    parent: _Block | None


class _Line(Struct, frozen=True):
    block: _Block | None
    key: str
    value: str


class SshConfig:
    """One file with what it includes. `folder`: against which relative Include paths are taken."""

    def __init__(self, path: Path, folder: Path, home: Path) -> None:
        self._folder = folder
        self._home = home
        self._lines: list[_Line] = []
        self._read(path, None, 0)

    def apply(self, subject: Subject, found: Found) -> None:
        """Add what this file says about a host. Raises NeedsOpenSshError."""
        active: dict[int, bool] = {}
        for line in self._lines:
            if self._active(line.block, subject, found, active):
                found.add(line.key, line.value)

    def _read(self, path: Path, block: _Block | None, depth: int) -> None:
        if depth > _DEPTH:
            raise ConfigError(f"{path}: Include goes deeper than {_DEPTH} files; does a file include itself?")
        current = block
        for number, text in enumerate(_text(path).splitlines(), 1):
            where = f"{path}:{number}"
            key, value = split_option(text)
            if not key or key.startswith("#"):
                continue
            if key in {"host", "match"}:
                current = _Block(key, tuple(_words(value, where)), where, block)
                # an entry of its own, so that a Match is evaluated where it stands
                self._lines.append(_Line(current, "", ""))
            elif key == "include":
                for pattern in _words(value, where):
                    for file in self._included(pattern):
                        self._read(file, current, depth + 1)
            else:
                self._lines.append(_Line(current, key, _value(key, value, where)))

    def _included(self, pattern: str) -> list[Path]:
        if pattern.startswith("~/"):
            pattern = str(self._home / pattern[2:])
        if not pattern.startswith("/"):
            pattern = str(self._folder / pattern)
        names = sorted(glob.glob(pattern))  # noqa: PTH207 - the pattern is absolute, which Path.glob refuses
        return [Path(name) for name in names if Path(name).is_file()]

    def _active(self, block: _Block | None, subject: Subject, found: Found, active: dict[int, bool]) -> bool:
        if block is None:
            return True
        known = active.get(id(block))
        if known is None:
            known = self._active(block.parent, subject, found, active) and _holds(block, subject, found)
            active[id(block)] = known
        return known


def _holds(block: _Block, subject: Subject, found: Found) -> bool:
    if block.kind == "host":
        return matches(subject.alias, block.words)
    words = list(block.words)
    holds = True
    while words:
        word = words.pop(0)
        negated = word.startswith("!")
        name, _, value = word.lstrip("!").partition("=")
        name = name.lower()
        if name not in _CRITERIA:
            raise NeedsOpenSshError(block.where, f"Match {name}")
        if name == "all":
            holds &= not negated
            continue
        patterns = (value or (words.pop(0) if words else "")).split(",")
        compared = _subject_of(name, subject, found)
        if name in {"host", "originalhost"}:  # unlike `Host`, where case counts
            compared, patterns = compared.lower(), [pattern.lower() for pattern in patterns]
        holds &= matches(compared, tuple(patterns)) is not negated
    return holds


def _subject_of(criterion: str, subject: Subject, found: Found) -> str:
    match criterion:
        case "host":
            return (found.first("hostname") or subject.alias).replace("%h", subject.alias)
        case "originalhost":
            return subject.alias
        case "user":
            return found.first("user") or subject.local_user
        case _:
            return subject.local_user


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """`*`, `?`, and `!` before a pattern that excludes whatever else matches. Case counts."""
    found = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if fnmatch.fnmatchcase(name, pattern.lstrip("!").replace("[", "[[]")):
            if negated:
                return False
            found = True
    return found


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE).decode(errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror}") from error


def _words(value: str, where: str) -> list[str]:
    try:
        return shlex.split(value, comments=True)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _value(key: str, value: str, where: str) -> str:
    """One word, unless the keyword takes a whole line (a command) or several words (files)."""
    if key == "proxycommand":
        return value
    if key in {"userknownhostsfile", "globalknownhostsfile"}:
        return shlex.join(_words(value, where))
    words = _words(value, where)
    return words[0] if words else ""
