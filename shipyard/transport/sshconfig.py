"""Reading ssh_config as OpenSSH does, for hundreds of hosts at once.

`ssh -G` is the exact answer, at 5 to 10 ms of CPU a host; paramiko's reader ignores `Include` and takes what it does
not know in a Match line for true. So: files are read once and evaluated here, and where they hold what this reader
leaves out (`Match exec`, canonical names, criteria and keywords of a later OpenSSH), `ssh -G` is asked.
"""

from __future__ import annotations

import glob
from pathlib import Path

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct, field
from shipyard.transport import keywords, lexing, names
from shipyard.transport.matching import Block, NeedsOpenSshError, Subject, block_of
from shipyard.transport.permissions import why_insecure

_DEPTH = 16
_MAX_FILE = 4 * 1024 * 1024
_SEVERAL = frozenset({"identityfile", "certificatefile"})


class Value(Struct, frozen=True):
    """The words behind a keyword. `where`: `file:line`, or what else says it."""

    words: tuple[str, ...]
    where: str


class Found(Struct):
    """What a lookup collects: the first value of each keyword, all values of those that add up.

    `answered`: ssh itself gave it, with tokens already expanded.
    """

    values: dict[str, list[Value]] = field(default_factory=dict)
    answered: bool = False

    def first(self, key: str) -> str | None:
        """The value in force, as one word."""
        values = self.values.get(key)
        return values[0].words[0] if values and values[0].words else None

    def where(self, key: str) -> str:
        """Who says it."""
        values = self.values.get(key)
        return values[0].where if values else ""

    def add(self, key: str, words: tuple[str, ...], where: str) -> None:
        """As the next line of the files."""
        value = Value(words, where)
        if key in _SEVERAL:
            self.values.setdefault(key, []).append(value)
        elif key == "proxyjump":
            self._jump(value)
        elif words and key not in self.values:
            self.values[key] = [value]

    def _jump(self, value: Value) -> None:
        """The first of jump host and command counts; `none` rules out a later jump host, not a later command."""
        if not names.split_jumps(value.words[0]):
            self.values.setdefault("proxyjump", [Value((), value.where)])
        elif not self.values.keys() & {"proxyjump", "proxycommand"}:
            self.values["proxyjump"] = [value]


class _Line(Struct, frozen=True):
    """`key`: empty where a block begins, so that a Match is evaluated where it stands. `unknown`: is no keyword."""

    block: Block | None
    key: str
    words: tuple[str, ...]
    where: str
    unknown: bool = False


class SshConfig:
    """One file with what it includes.

    `folder`: against which relative Include paths are taken. `user`: it is a user's file, where `~` may be included.
    `guarded`: others may not be able to write it. `files`: all that were read, this one first.
    """

    def __init__(self, path: Path, folder: Path, home: Path, *, user: bool = True, guarded: bool = False) -> None:
        self._folder = folder
        self._home = home
        self._user = user
        self._lines: list[_Line] = []
        self.final = False
        self.files: list[Path] = []
        self._read(path, None, 0, guarded=guarded)

    def apply(self, subject: Subject, found: Found) -> None:
        """Add what this file says about a host. Raises NeedsOpenSshError."""
        active: dict[int, bool] = {}
        block, counts = None, True
        for line in self._lines:
            if line.unknown:
                if not lexing.in_list(line.key, (found.first("ignoreunknown") or "").lower()):
                    raise NeedsOpenSshError(line.where, f"ssh_config has no keyword `{line.key}`", wrong=True)
                continue
            if line.block is not block:
                block = line.block
                counts = self._active(block, subject, found, active)
            if counts and line.key:
                found.add(line.key, line.words, line.where)

    def _read(self, path: Path, block: Block | None, depth: int, *, guarded: bool) -> None:
        self.files.append(path)
        current = block
        for number, text in enumerate(_text(path, self._home if guarded else None).split("\n"), 1):
            where = f"{path}:{number}"
            said = lexing.keyword(text)
            if said is None:
                continue
            key, rest = said
            try:
                current = self._line(key, rest, where, block, current, depth)
            except ValueError as error:
                raise ConfigError(f"{where}: {keywords.shown(key)}: {error}") from None

    def _line(
        self, key: str, rest: str, where: str, outer: Block | None, current: Block | None, depth: int
    ) -> Block | None:
        """The block that the next line is in. Raises ValueError."""
        if key in {"host", "match"}:
            block = block_of(key, rest, where, outer)
            self.final |= block.asks("final")
            self._lines.append(_Line(block, "", (), where))
            return block
        if key == "include":
            if depth == _DEPTH:
                raise ValueError(f"goes deeper than {_DEPTH} files; does a file include itself?")
            for file in self._included(rest):
                self._read(file, current, depth + 1, guarded=True)
        elif keywords.is_keyword(key):
            key, words = keywords.read(key, rest)
            self._lines.append(_Line(current, key, words, where))
        else:
            if not rest:
                raise ValueError("a value is missing")
            lexing.words(rest)
            self._lines.append(_Line(current, key, (), where, unknown=True))
        return current

    def _included(self, rest: str) -> list[Path]:
        if not rest:
            raise ValueError("a value is missing")
        found: list[Path] = []
        for pattern in lexing.words(rest):
            if not pattern:
                raise ValueError("a word is empty")
            if pattern.startswith("~") and not self._user:
                raise ValueError(f"`{pattern}`: the system's file includes nothing of a user")
            whole = names.tilde(pattern, self._home)
            if not whole.startswith("/"):
                whole = str(self._folder / whole)
            paths = sorted(glob.glob(whole))  # noqa: PTH207 - the pattern is absolute, which Path.glob refuses
            found += [Path(path) for path in paths if Path(path).is_file()]
        return found

    def _active(self, block: Block | None, subject: Subject, found: Found, active: dict[int, bool]) -> bool:
        if block is None:
            return True
        known = active.get(id(block))
        if known is None:
            block.check()
            outer = self._active(block.outer, subject, found, active)
            try:
                known = outer and block.holds(subject, found.first("hostname"), found.first("user"))
            except ValueError as error:
                raise ConfigError(f"{found.where('hostname')}: HostName: {error}") from None
            active[id(block)] = known
        return known


def _text(path: Path, home: Path | None) -> str:
    """`home`: of those who may have written it; None where anybody may."""
    try:
        with path.open("rb") as file:
            why = None if home is None else why_insecure(file.fileno(), home)
            if why is not None:
                raise ConfigError(f"{path}: {why}, and ssh reads no such file", hint=f"chmod go-w {path}")
            return file.read(_MAX_FILE).decode(errors="surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror}") from error
