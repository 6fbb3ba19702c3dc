"""The nodes' copies of revisions: those that hold secrets are encrypted before they are sent, and opened by a rebuild.

The planner, which is pure and has no key, plans a copy in plain text; the key is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from shipyard.base.errors import StoreError
from shipyard.base.record import Struct, field, replace
from shipyard.model import canonical
from shipyard.model.plan import Action, KeepRevision
from shipyard.model.situation import DesiredStack
from shipyard.model.spec import Revision

if TYPE_CHECKING:
    from shipyard.observe.kept import KeptRevision
    from shipyard.reconcile.vault import Vault


class Read(Struct):
    """What copies came to. `revisions`: the newest of each stack. `unread`: why there is none, and the number, of those
    whose newest copies nobody can read."""

    revisions: dict[str, Revision] = field(default_factory=dict)
    unread: dict[str, tuple[int, str]] = field(default_factory=dict)


def sealed(vault: Vault, stacks: Iterable[DesiredStack], wave: tuple[Action, ...]) -> tuple[Action, ...]:
    """The wave, with copies of revisions that hold secrets encrypted. Raises StoreError, ConfigError: the key."""
    if not any(isinstance(action.step, KeepRevision) for action in wave):
        return wave
    from shipyard.model.hiding import holds_secrets

    holding = {stack.revision.stack for stack in stacks if holds_secrets(stack.revision.spec)}
    return tuple(
        replace(action, step=_sealed(vault, action.step))
        if isinstance(action.step, KeepRevision) and action.step.stack in holding
        else action
        for action in wave
    )


def _sealed(vault: Vault, step: KeepRevision) -> KeepRevision:
    from shipyard.store import bodies

    place = bodies.Place("copy", step.stack, step.number, step.digest)
    return replace(step, body=bodies.seal(vault.sealing(), place, step.body))


def read(vault: Vault, copies: Iterable[tuple[str, KeptRevision]]) -> Read:
    """The newest of each stack's copies, each with the node that has it. One that is not whole is as good as none.

    One that can't be opened is not: an older one in its place would be a rollback that nobody asked for.
    """
    found = Read()
    for node, copy in sorted(copies, key=lambda each: (-each[1].number, each[0])):
        best = found.revisions.get(copy.stack)
        if best is not None and (best.number > copy.number or best.digest == copy.digest):
            continue
        revision, why = _opened(vault, copy)
        if best is not None and (revision is None or _hosts(revision) <= _hosts(best)):
            continue
        if revision is not None and found.unread.get(copy.stack, (0, ""))[0] <= copy.number:
            found.revisions[copy.stack] = revision
            found.unread.pop(copy.stack, None)
        elif why:
            found.unread.setdefault(copy.stack, (copy.number, f"{why} (on {node})"))
    return found


def _hosts(revision: Revision) -> int:
    """Of two copies of one number, that of more hosts is the newer: what hosts joined with was added to it."""
    return sum(len(service.rendered) for service in revision.spec.services)


def _opened(vault: Vault, copy: KeptRevision) -> tuple[Revision | None, str]:
    """The revision; or None, and why it can't be opened: "" where it is not whole, or not what it says it is."""
    from shipyard.store import bodies

    body, sealed = copy.body, bodies.is_sealed(copy.body)
    if sealed:
        place = bodies.Place("copy", copy.stack, copy.number, copy.digest)
        key = bodies.key_of(body)
        if not key:
            return None, f"{place} was encrypted by a newer shipyard"
        try:
            ring = vault.opening(key, str(place))
        except StoreError as error:
            return None, error.message
        plain = bodies.unseal(ring, place, body)
        if plain is None:
            return None, f"{place} is damaged: it was changed"
        body = plain
    try:
        revision = canonical.loads(Revision, body)
    except ValueError:
        return None, ""
    if revision.stack != copy.stack or not (sealed or canonical.stack_digest(revision.spec) == copy.digest):
        return None, ""
    return revision, ""


def unreadable(unread: Mapping[str, tuple[int, str]]) -> StoreError:
    """The error that a rebuild would lose these stacks."""
    return StoreError(
        f"nodes keep {', '.join(sorted(unread))}, which can't be read: "
        + "; ".join(why for _, (_, why) in sorted(unread.items())),
        hint="put the key back (its file, variable or program) and run this again; if it is lost for good,"
        " `shipyard state rebuild --lost` reads the rest back, and these stacks' files are to be applied again",
    )
