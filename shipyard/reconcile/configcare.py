"""What people do with external configs by hand: set, list, show, remove. Needs the store, but no node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType

from shipyard.base import clock
from shipyard.base.errors import UsageError
from shipyard.base.record import Struct
from shipyard.files.compose.nearby import MAX_CONFIG
from shipyard.files.config import Settings
from shipyard.model.canonical import digest
from shipyard.model.event import Event
from shipyard.model.labels import SECRET_NAME
from shipyard.model.spec import ConfigSpec
from shipyard.reconcile.keeper import whoami
from shipyard.reconcile.outside import names
from shipyard.reconcile.trust import trust_of
from shipyard.reconcile.vault import Vault
from shipyard.store.records import ConfigRow
from shipyard.store.store import Store


class ConfigInfo(Struct, frozen=True):
    """One config for people. `row` None: stacks use it, and the store does not have it (any more).

    `used_by`: stacks, sorted. `outdated`: those of them that have another content until they are applied again.
    """

    name: str
    row: ConfigRow | None
    used_by: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()


class ConfigCare:
    """The external configs of a store, which has to know the keys of its revisions: these say which stacks use them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    def open(cls, settings: Settings, environ: Mapping[str, str]) -> ConfigCare:
        """Opens the store, which is made where there is none."""
        store = Store.open(settings.database, create=True, cluster=settings.cluster)
        Vault(store, settings.secrets, environ, trusted=trust_of(settings.root), folder=settings.root)
        return cls(store)

    def put(self, name: str, content: bytes) -> tuple[bool, tuple[str, ...]]:
        """Store it as what the name means from now on; whether that is news, and the stacks to be applied again for it.

        Raises UsageError for what can't be a config.
        """
        if SECRET_NAME.fullmatch(name) is None:
            raise UsageError(
                f"{name!r} can't be a config's name", hint="NAME or STACK/NAME: letters, digits, _ . and -"
            )
        if not 0 < len(content) <= MAX_CONFIG:
            size = "is empty" if not content else f"is larger than {MAX_CONFIG // 1024} KiB"
            raise UsageError(f"the content of {name} {size}")
        row = ConfigRow(name, content, digest(content), self._store.now(clock.now()), whoami())
        changed = all(before.digest != row.digest for before in self._store.configs([name]))
        if changed:
            self._store.keep_config(row)
            self._store.add_events([Event(row.created, "ConfigSet", name, f"{name} was set by {whoami()}")])
        stale = {
            stack
            for stack, spec in self._used()
            if name in (spec.name, names(stack, spec.name)[0]) and spec.digest != row.digest
        }
        return changed, tuple(sorted(stale))

    def infos(self) -> tuple[ConfigInfo, ...]:
        """All of them, sorted by name; also those that stacks use and that the store does not have (any more)."""
        rows = {row.name: row for row in self._store.configs()}
        used: dict[str, dict[str, set[str]]] = {name: {} for name in rows}
        for stack, spec in self._used():
            used.setdefault(spec.name, {}).setdefault(stack, set()).add(spec.digest)
        return tuple(_info(name, rows.get(name), used[name]) for name in sorted(used))

    def info(self, name: str) -> ConfigInfo:
        """Raises UsageError for one that the store does not have."""
        found = next((info for info in self.infos() if info.name == name and info.row is not None), None)
        if found is None:
            raise UsageError(f"there is no config {name}", hint="`shipyard configs list` shows them")
        return found

    def remove(self, given: Sequence[str], *, force: bool = False) -> None:
        """Forget them, all or none. Raises UsageError for one that is not there, or that a stack uses."""
        for info in map(self.info, given):
            if info.used_by and not force:
                raise UsageError(
                    f"{info.name} is used by {', '.join(info.used_by)}",
                    hint="--force removes it all the same: what runs keeps it, but its files can't be applied any more",
                )
        self._store.remove_configs(given)
        now = self._store.now(clock.now())
        self._store.add_events(Event(now, "ConfigRemoved", name, f"{name} was removed by {whoami()}") for name in given)

    def _used(self) -> Iterator[tuple[str, ConfigSpec]]:
        """Of the newest revision of each stack."""
        for head in self._store.heads():
            for spec in head.revision.spec.configs:
                if spec.external:
                    yield head.revision.stack, spec

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> ConfigCare:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _info(name: str, row: ConfigRow | None, used: Mapping[str, set[str]]) -> ConfigInfo:
    """`used`: by stack, the digests of what it has."""
    outdated = (stack for stack in sorted(used) if row is not None and used[stack] != {row.digest})
    return ConfigInfo(name, row, tuple(sorted(used)), tuple(outdated))
