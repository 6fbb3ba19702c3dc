"""What people do with secrets by hand: set, list, remove, and replace the key. Needs the store, but no node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from shipyard.base import clock
from shipyard.base.errors import ConfigError, StoreError, UsageError
from shipyard.base.record import Struct
from shipyard.base.secret import SecretBytes
from shipyard.files import masterkey
from shipyard.files.config import Settings
from shipyard.model.event import Event
from shipyard.model.labels import SECRET_NAME
from shipyard.reconcile.keeper import whoami
from shipyard.reconcile.trust import trust_of
from shipyard.reconcile.vault import MAX_SECRET, Vault
from shipyard.store.records import SealedSecret, SecretRow
from shipyard.store.sealing import Keyring, new_key
from shipyard.store.store import Store


class SecretInfo(Struct, frozen=True):
    """One secret for people. `declared`: a playbook's own. `contents`: how many the store keeps. `used_by`: stacks."""

    name: str
    declared: bool
    created: float
    author: str
    contents: int
    used_by: tuple[str, ...]


class Rotated(Struct, frozen=True):
    """`resealed`: contents. `dropped`: names that could not be opened. `old`: the file with the old key, if any.

    `revisions`: how many that hold secrets were sealed. `unread`: stack and number of those that nobody can read.
    """

    resealed: int
    dropped: tuple[str, ...]
    origin: str
    old: Path | None = None
    revisions: int = 0
    unread: tuple[tuple[str, int], ...] = ()


class SecretCare:
    """The secrets of the store of some settings."""

    def __init__(self, vault: Vault, settings: Settings) -> None:
        self._vault, self._store, self._settings = vault, vault.store, settings

    @classmethod
    def open(cls, settings: Settings, environ: Mapping[str, str]) -> SecretCare:
        """Opens the store, which is made where there is none."""
        store = Store.open(settings.database, create=True, cluster=settings.cluster)
        trusted = trust_of(settings.root)
        return cls(Vault(store, settings.secrets, environ, trusted=trusted, folder=settings.root), settings)

    def put(self, name: str, content: SecretBytes) -> tuple[bool, tuple[str, ...]]:
        """Store it as what the name means from now on; whether that is news, and the stacks that use another content.

        Raises UsageError for what can't be a secret.
        """
        if SECRET_NAME.fullmatch(name) is None:
            raise UsageError(
                f"{name!r} can't be a secret's name", hint="NAME or STACK/NAME: letters, digits, _ . and -"
            )
        if not 0 < len(content) <= MAX_SECRET:
            size = "is empty" if not content else f"is larger than {MAX_SECRET // 1024} KiB"
            raise UsageError(f"the content of {name} {size}")
        if name in self._declared():
            raise UsageError(f"{name} is declared with its content by a playbook, and is set by applying that")
        digest = self._vault.digest(name, content, make=True)
        before = [row for row in self._store.secrets() if row.name == name and row.current]
        changed = not before or before[0].digest != digest
        now = self._store.now(clock.now())
        self._store.keep_secret(self._vault.sealed(SecretRow(name, digest, "", True, now, whoami()), content))
        if changed:
            self._store.add_events([Event(now, "SecretSet", name, f"{name} was set by {whoami()}")])
        stale = {
            head.revision.stack
            for head in self._store.heads()
            for secret in head.revision.spec.secrets
            if secret.name == name and secret.digest != digest
        }
        return changed, tuple(sorted(stale))

    def infos(self) -> tuple[SecretInfo, ...]:
        """All of them, sorted by name; also those that stacks use and that the store does not have (any more)."""
        used: dict[str, set[str]] = {}
        for head in self._store.heads():
            for secret in head.revision.spec.secrets:
                used.setdefault(secret.name, set()).add(head.revision.stack)
        rows: dict[str, list[SecretRow]] = {name: [] for name in used}
        for row in self._store.secrets():
            rows.setdefault(row.name, []).append(row)
        return tuple(_info(name, rows[name], sorted(used.get(name, ()))) for name in sorted(rows))

    def remove(self, names: Sequence[str], *, force: bool = False) -> None:
        """Forget them, all or none. Raises UsageError for one that is not there, or that a stack uses."""
        known = {info.name: info for info in self.infos()}
        for name in names:
            info = known.get(name)
            if info is None or not info.contents:
                raise UsageError(f"there is no secret {name}", hint="`shipyard secret list` shows them")
            if info.used_by and not force:
                raise UsageError(
                    f"{name} is used by {', '.join(info.used_by)}",
                    hint="--force removes it all the same: what runs keeps it, but no node can be sent it any more",
                )
        for name in names:
            self._store.remove_secret(name)
        now = self._store.now(clock.now())
        self._store.add_events(Event(now, "SecretRemoved", name, f"{name} was removed by {whoami()}") for name in names)

    def rotate_key(self, *, lost: bool = False) -> Rotated:
        """Seal everything anew with another key. `lost`: what no key here opens is dropped.

        A key file holds the old key and the new one until all is sealed with the new: ended in between, both are there.
        """
        ring, old = self._next_ring(lost=lost)
        count = 0

        def anew(each: SealedSecret) -> SealedSecret | None:
            nonlocal count
            row = each.row
            if row.key not in ring.ids and lost:
                return None
            key, sealed = ring.seal(row.name, row.digest, ring.open(row.name, row.digest, row.key, each.sealed))
            count += 1
            return SealedSecret(SecretRow(row.name, row.digest, key, row.current, row.created, row.author), sealed)

        resealed = self._store.reseal(anew, ring, lost=lost)
        if old is not None:
            masterkey.replace(self._settings.secrets.file, ring.keys[:1])
        now = self._store.now(clock.now())
        self._store.add_events([Event(now, "SecretKeyRotated", "secrets", f"the key was replaced by {whoami()}")])
        return Rotated(count, resealed.dropped, ring.origin, old, resealed.revisions, resealed.unread)

    def lost(self) -> tuple[str, ...]:
        """What no key that is here opens, in words."""
        found = self._vault.found()
        have = () if found is None else Keyring(found.keys, found.origin).ids
        sealed = self._store.sealed_by()
        return tuple(sorted({each for key in sealed if key not in have for each in sealed[key]}))

    def _next_ring(self, *, lost: bool) -> tuple[Keyring, Path | None]:
        """The keys to go on with, the new one first, and the file that the old ones are kept in."""
        found = self._vault.found()
        if not lost:
            self._vault.keyring()  # says so where the key is gone, or not the one that is needed
        if found is None and (lost or self._store.has_plain()):
            made = masterkey.make(self._settings.secrets.file, new_key())
            return Keyring(made.keys, made.origin), None
        if found is None:
            raise StoreError("there is no key of secrets yet", hint="`shipyard secret set` makes one")
        if found.file is None:
            if len(found.keys) < 2 and not lost:
                raise ConfigError(
                    f"the key is {found.origin}, which shipyard can't write to",
                    hint="put the new key in front of the old one there (a space between them), run this again, and"
                    " take the old one out",
                )
            return Keyring(found.keys, found.origin), None
        old = found.file.with_name(f"{found.file.name}.old")
        masterkey.replace(old, tuple(dict.fromkeys((*found.keys, *masterkey.read_file(old)))))
        keys = (new_key(), *found.keys)
        masterkey.replace(found.file, keys)
        return Keyring(keys, found.origin), old

    def _declared(self) -> set[str]:
        heads = self._store.heads()
        return {secret.name for head in heads for secret in head.revision.spec.secrets if not secret.external}

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> SecretCare:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _info(name: str, rows: Sequence[SecretRow], used_by: Sequence[str]) -> SecretInfo:
    current = next((row for row in rows if row.current), None)
    newest = current or (rows[0] if rows else SecretRow(name, "", ""))
    declared = bool(rows) and current is None
    return SecretInfo(name, declared, newest.created, newest.author, len(rows), tuple(used_by))
