"""The store's part that keeps contents which no revision holds itself: external configs, and what is encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipyard.store import configs, resealing, secrets
from shipyard.store.records import Resealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shipyard.store.engine import Database
    from shipyard.store.records import ConfigRow, SealedSecret, SecretRow
    from shipyard.store.sealing import Keyring


class Contents:
    """Configs, secrets, and the keys that sealed them. Each method is one transaction; StoreError where it fails."""

    _database: Database

    # Configs outside of stacks

    def configs(self, names: Iterable[str] | None = None) -> tuple[ConfigRow, ...]:
        """All of them, or those of these names, sorted by name."""
        with self._database.reading() as connection:
            return configs.rows(connection, names)

    def keep_config(self, row: ConfigRow) -> None:
        """In place of the one of its name."""
        with self._database.writing() as connection:
            configs.keep(connection, (row,))

    def remove_configs(self, names: Iterable[str]) -> None:
        """Those that are there, in one go."""
        with self._database.writing() as connection:
            configs.remove(connection, names)

    # Secrets

    def secrets(self) -> tuple[SecretRow, ...]:
        """All that are kept, without their contents, sorted by name, a name's newest first."""
        with self._database.reading() as connection:
            return secrets.rows(connection)

    def sealed(self, name: str, digest: str) -> SealedSecret | None:
        """One of them with its ciphertext; None where it is not kept."""
        with self._database.reading() as connection:
            return secrets.sealed(connection, name, digest)

    def keep_secret(self, sealed: SealedSecret) -> None:
        """Add it. What it takes the place of goes, unless a revision mentions it."""
        with self._database.writing() as connection:
            secrets.keep(connection, (sealed,))
            secrets.tidy(connection, None, {sealed.row.name})

    def remove_secret(self, name: str) -> None:
        """All contents of this name."""
        with self._database.writing() as connection:
            secrets.remove(connection, name)

    def sealed_by(self) -> dict[str, tuple[str, ...]]:
        """What each key sealed, in words, by the key's id: names of secrets, and revisions that hold some."""
        found: dict[str, list[str]] = {}
        with self._database.reading() as connection:
            for name, key in sorted({(row.name, row.key) for row in secrets.rows(connection)}):
                found.setdefault(key, []).append(name)
            for key, words in resealing.by_key(connection):
                found.setdefault(key, []).append(words)
        return {key: tuple(words) for key, words in found.items()}

    def has_plain(self) -> bool:
        """Whether a revision that holds secrets is in plain text, as an older shipyard wrote it."""
        with self._database.reading() as connection:
            return resealing.has_plain(connection)

    def reseal(self, anew: Callable[[SealedSecret], SealedSecret | None], ring: Keyring, *, lost: bool) -> Resealed:
        """Every secret as `anew` makes it, every revision that holds some as `ring` seals it; all or none.

        None from `anew` drops a secret, and `lost` the revisions that no key opens.
        """
        with self._database.writing() as connection:
            names = secrets.reseal(connection, anew)
            count, revised = resealing.reseal(connection, ring, lost=lost)
            return Resealed(names, count, revised)
