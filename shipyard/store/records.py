"""What the store hands out beside the model's own nouns: rows of its history, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shipyard.base.record import Struct

if TYPE_CHECKING:
    from shipyard.model.event import Event
    from shipyard.model.inventory import Connection
    from shipyard.model.node import Node
    from shipyard.model.observed import Facts
    from shipyard.model.spec import Revision


class Lease(Struct, frozen=True):
    """The right to run passes. `epoch`: larger than that of every holder before; nodes refuse smaller ones.

    `holder`: user@host. `since`, `expires`: unix seconds of the store's clock. `ttl`: seconds.
    """

    holder: str
    pid: int
    epoch: int
    since: float
    expires: float
    ttl: float


class SecretRow(Struct, frozen=True):
    """One content of a secret, without it. `key`: id of the key that sealed it. `current`: what an external one means.

    `created`: unix seconds. `author`: user@host.
    """

    name: str
    digest: str
    key: str
    current: bool = False
    created: float = 0.0
    author: str = ""


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A row, and its ciphertext."""

    row: SecretRow
    sealed: str = field(repr=False)


class ConfigRow(Struct, frozen=True):
    """A config outside of stacks. `digest`: the content's sha256, hex. `created`: unix seconds. `author`: user@host."""

    name: str
    content: bytes
    digest: str
    created: float = 0.0
    author: str = ""


class Resealed(Struct, frozen=True):
    """What a new key came to. `revisions`: how many are sealed with it.

    `dropped`: names of secrets that no key opened; `unread`: revisions, by stack and number, likewise.
    """

    dropped: tuple[str, ...]
    revisions: int = 0
    unread: tuple[tuple[str, int], ...] = ()


class Head(Struct, frozen=True):
    """A stack's newest revision. `removing`: the stack was removed, but something of it is still there."""

    revision: Revision
    removing: bool = False


class RevisionRow(Struct, frozen=True):
    """A line of a stack's history, without the body."""

    stack: str
    number: int
    digest: str
    created: float
    author: str
    files: tuple[str, ...] = ()
    note: str = ""


class StoredNode(Struct, frozen=True):
    """A node and how it was last reached. Passwords are left out of `connection` when it is stored."""

    node: Node
    connection: Connection
    first_seen: float = 0.0
    facts: Facts | None = None


class PassRow(Struct, frozen=True):
    """A pass, or a run of passes that changed nothing and ended alike.

    `since`: start of the first of them; `started`, `finished`: of the newest; `count`: how many.
    `result` None: under way. `killed`: it never ended, and a later one began.
    """

    id: int
    kind: str
    holder: str
    since: float
    started: float
    finished: float | None
    result: str | None
    changes: int
    count: int


class ActionRow(Struct, frozen=True):
    """An action of a pass. `status`: `started` until its outcome is recorded, then a `plan.Status` value.

    `wave`: from 1. `number`: the action's id in its plan. `message`: the runtime's words where it failed.
    """

    pass_id: int
    wave: int
    number: int
    node: str
    verb: str
    target: str
    reason: str
    detail: str
    status: str
    message: str
    started: float
    seconds: float


class EventRow(Struct, frozen=True):
    """An event, or equal ones within an hour of each other: `count` of them, from `first` to `event.at`.

    `id` grows: a repeated event gets a new one, so whoever follows by id sees it again.
    """

    id: int
    event: Event
    first: float
    count: int
