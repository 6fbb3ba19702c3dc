"""A host's key, and writing it into known_hosts."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct
from shipyard.transport.knownhosts import Line, Verdict, hashed_name, parse_line


class HostKey(Struct, frozen=True):
    """`host`: as known_hosts spells it. `verdict`: what known_hosts says about it now. `file`: where to record it.

    `hashed`: there under a name that nobody can read off.
    """

    host: str
    type: str
    blob: bytes
    verdict: Verdict = Verdict.UNKNOWN
    file: str | None = None
    hashed: bool = False

    @property
    def known(self) -> bool:
        """Whether known_hosts has exactly this key."""
        return self.verdict is Verdict.KNOWN

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as `ssh` and `ssh-keygen -l` show it."""
        return fingerprint(self.blob)

    @property
    def line(self) -> str:
        """For known_hosts, without a line end."""
        return (
            f"{hashed_name(self.host) if self.hashed else self.host} {self.type} {base64.b64encode(self.blob).decode()}"
        )


def fingerprint(blob: bytes) -> str:
    """`SHA256:` and base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def record(keys: Iterable[HostKey], *, replace: bool = False) -> tuple[Path, ...]:
    """`remember` each in the file that its host is looked up in; those files."""
    keys = tuple(keys)
    files = tuple(dict.fromkeys(key.file for key in keys if key.file is not None))
    for file in files:
        remember(file, [key for key in keys if key.file == file], replace=replace)
    return tuple(Path(file) for file in files)


def remember(path: str | Path, keys: Iterable[HostKey], *, replace: bool = False) -> None:
    """Write keys into a known_hosts file (made with mode 0600), once each.

    `replace`: what the file said before about these hosts goes; else nothing is ever removed. Comments, other hosts
    and markers stay as they are; of a line that names several hosts only the replaced name goes.
    """
    file = Path(path).expanduser()
    keys = tuple(keys)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(file):
            old = file.read_text(errors="surrogateescape").splitlines() if file.exists() else []
            kept = [line for text in old for line in _without(text, keys)] if replace else old
            present = [line for line in (parse_line(text, "") for text in kept) if line is not None]
            new = [key.line for key in dict.fromkeys(keys) if not any(_says(line, key) for line in present)]
            if new or kept != old:
                _write(file, [*kept, *new])
    except OSError as error:
        raise ConfigError(f"can't write host keys to {file}: {error.strerror}") from error


def _without(text: str, keys: tuple[HostKey, ...]) -> list[str]:
    """The line without these hosts: itself, shortened, or nothing."""
    line = parse_line(text, "")
    if line is None or line.marker or not any(_names(line, key.host) for key in keys):
        return [text]
    names = {key.host for key in keys}
    rest = [name for name in line.names.split(",") if name.lower() not in names]
    return [text.replace(line.names, ",".join(rest), 1)] if rest and not line.names.startswith("|1|") else []


def _says(line: Line, key: HostKey) -> bool:
    return not line.marker and (line.type, line.blob) == (key.type, key.blob) and _names(line, key.host)


def _names(line: Line, name: str) -> bool:
    """Whether the line names this host by itself or hashed; a pattern speaks of others too and stays."""
    if line.names.startswith("|1|"):
        return line.names_host(name)
    return name in line.names.lower().split(",")


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Two processes, or two threads, that record at once: one after the other. The folder is locked, since the file

    itself is replaced.
    """
    folder = os.open(file.resolve().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(file: Path, lines: list[str]) -> None:
    """All or nothing: beside it, then renamed over it. A link stays a link."""
    real = file.resolve()
    handle, temporary = tempfile.mkstemp(dir=real.parent, prefix=".known_hosts.")  # mode 0600
    try:
        with os.fdopen(handle, "w", errors="surrogateescape") as out:
            out.write("".join(line + "\n" for line in lines))
        Path(temporary).replace(real)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
