"""The one tree of errors.

    ShipyardError                      exit 1
      UsageError                       exit 5   wrong command line
      FileError                        exit 1   a file people wrote: file:line:column and key
      ConfigError                      exit 1   shipyard.toml, environment
      StoreError                       exit 1   the database
        LeaseHeld                      exit 75  another pass is at work
      NodeError                        exit 2   something about one node
        Unreachable                    exit 4   no connection: the only error that counts as a miss
        NotObserved                    exit 2   the node is alive, but what it said can't be used
          HostKeyUnknown, HostKeyChanged, AuthFailed, SudoFailed, Truncated, TimedOut, RuntimeBroken
        Refused                        exit 1   the node belongs to another store, or has seen a newer holder
      LabError                         exit 1   the throw-away fleet

Every error says what was being done, where, what went wrong in the words of whoever said so, and
what to do next. The command line catches the root once; tracebacks only with -vv.
"""

from __future__ import annotations

from typing import ClassVar


class ShipyardError(Exception):
    """Root of all errors that are shown to people.

    `message`: one sentence with what was being done and what went wrong. `hint`: what to do next.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"


class UsageError(ShipyardError):
    """The command line was used in a way it does not have."""

    exit_code = 5


class ConfigError(ShipyardError):
    """shipyard.toml or an environment variable says something that can't be."""


class FileError(ShipyardError):
    """A file that people wrote can't be used.

    `file`: the path as the user gave it. `line`, `column`: from 1, None where unknown. `key`: dotted
    path of the key (`services.web.ports[0]`).
    """

    def __init__(
        self,
        message: str,
        *,
        file: str,
        line: int | None = None,
        column: int | None = None,
        key: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.file, self.line, self.column, self.key = file, line, column, key

    @property
    def where(self) -> str:
        """`file:line:column`, as far as known: what editors make clickable."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        text = f"{self.where}: {key}{self.message}"
        return text if self.hint is None else f"{text}\n  hint: {self.hint}"


class FileErrors(ShipyardError):
    """Several errors in what people wrote, all shown at once, in the order of the files."""

    def __init__(self, errors: tuple[FileError, ...]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors


class StoreError(ShipyardError):
    """The store can't be opened, read or written."""


class LeaseHeld(StoreError):
    """Another pass holds the lease. `yields`: it is a round of a watch, which lets others in when it ends."""

    exit_code = 75
    yields = False


class NodeError(ShipyardError):
    """Something about one node."""

    exit_code = 2

    def __init__(self, node: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.node = node

    def __str__(self) -> str:
        text = f"{self.node}: {self.message}"
        return text if self.hint is None else f"{text}\n  hint: {self.hint}"


class Unreachable(NodeError):
    """No connection could be made (or it broke). `via`: the jump host that failed, where it was one."""

    exit_code = 4

    def __init__(self, node: str, message: str, *, hint: str | None = None, via: str | None = None) -> None:
        super().__init__(node, message, hint=hint)
        self.via = via


class NotObserved(NodeError):
    """The node is alive, but nothing can be said about what runs on it."""


class HostKeyUnknown(NotObserved):
    """No known_hosts entry for this host."""


class HostKeyChanged(NotObserved):
    """The host shows another key than known_hosts has."""


class AuthFailed(NotObserved):
    """No key or password was accepted."""


class SudoFailed(NotObserved):
    """sudo refused."""


class Truncated(NotObserved):
    """The answer ended early, or was longer than a node may say."""


class TimedOut(NotObserved):
    """Connected, but the command did not end in time."""


class RuntimeBroken(NotObserved):
    """The container runtime is missing, or answers nonsense."""


class Refused(NodeError):
    """The node belongs to another store, or has seen a newer holder of the lease."""

    exit_code = 1


class LabError(ShipyardError):
    """The throw-away fleet could not do as asked."""
