"""Secrets between files, store and nodes: the one place that has both their contents and the key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shipyard.base import clock
from shipyard.base.errors import FileError, FileErrors, ShipyardError, StoreError
from shipyard.base.record import replace
from shipyard.base.secret import SecretBytes
from shipyard.base.trust import HINT, Trust
from shipyard.model.container import ConfigMount
from shipyard.model.spec import SecretSpec, StackSpec
from shipyard.reconcile.keeper import whoami
from shipyard.reconcile.outside import names, with_containers
from shipyard.store.records import SealedSecret, SecretRow

if TYPE_CHECKING:
    from shipyard.files.compose.declared import DeclaredSecret
    from shipyard.files.config import KeySource
    from shipyard.files.masterkey import Found
    from shipyard.files.playbook import LoadedFiles
    from shipyard.store.sealing import Keyring
    from shipyard.store.store import Store

MAX_SECRET = 500 * 1024
"""As Swarm has it."""


class Vault:
    """The store's secrets, with the key that opens them. `trusted`: which programs of the project may run.

    The key is read when it is needed first, and again where the store turns out to need another: `rotate-key` may have
    been at work since.
    """

    def __init__(
        self, store: Store, source: KeySource, environ: Mapping[str, str], *, trusted: Trust, folder: Path
    ) -> None:
        self.store, self._source, self._environ = store, source, environ
        self._trusted, self._folder = trusted, folder
        self._ring: Keyring | None = None
        store.keys = lambda: self

    def found(self) -> Found | None:
        """The key as it is now; None where there is none yet. Raises ConfigError."""
        from shipyard.files import masterkey

        return masterkey.find(self._source, self._environ, trusted=self._trusted, folder=self._folder)

    def keyring(self, *, make: bool = False) -> Keyring:
        """The key, known to be the one that the store needs. `make`: a new one, where nothing was sealed yet.

        Without `make` and without a key: one that nobody has. Raises StoreError where the key is lost or another.
        """
        from shipyard.files import masterkey
        from shipyard.store.sealing import Keyring, new_key, wrong_key

        sealed = self.store.sealed_by()
        if self._ring is not None and sealed.keys() <= {*self._ring.ids}:
            return self._ring
        found = self.found()
        if found is None and sealed:
            raise _lost(sorted({each for words in sealed.values() for each in words}), self._source.file)
        if found is None and not make:
            return Keyring.random()
        if found is None:
            found = masterkey.make(self._source.file, new_key())
        ring = Keyring(found.keys, found.origin)
        strange = [key for key in sealed if key not in ring.ids]
        if strange:
            raise wrong_key(sorted({each for key in strange for each in sealed[key]}), strange[0], ring)
        self._ring = ring
        return ring

    def sealing(self) -> Keyring:
        """The key, for revisions that hold secrets; made where there is none. Raises StoreError, ConfigError."""
        return self.keyring(make=True)

    def opening(self, key: str, what: str) -> Keyring:
        """Keys with this one among them. Raises StoreError where it is not here. `what` is to be opened, in words."""
        from shipyard.store.sealing import Keyring, wrong_key

        if self._ring is not None and key in self._ring.ids:
            return self._ring
        found = self.found()
        if found is None:
            raise _lost([what], self._source.file)
        ring = Keyring(found.keys, found.origin)
        if key not in ring.ids:
            raise wrong_key([what], key, ring)
        self._ring = ring
        return ring

    def content(self, secret: SecretSpec) -> SecretBytes:
        """What a node is to be sent. Raises StoreError: not kept here, another key is needed, the row is damaged."""
        kept = self.store.sealed(secret.name, secret.digest)
        if kept is None:
            how = f"`shipyard secret set {secret.name}`" if secret.external else "apply the files that declare it"
            raise StoreError(
                f"the content of the secret {secret.name} that this revision has is not in the store",
                hint=f"{how} again: with the same content and key, nothing that runs is replaced",
            )
        return self.open(kept)

    def open(self, kept: SealedSecret) -> SecretBytes:
        """Its content. Raises StoreError."""
        return self.keyring().open(kept.row.name, kept.row.digest, kept.row.key, kept.sealed)

    def digest(self, name: str, content: SecretBytes, *, make: bool = False) -> str:
        """Of this content. What the store has already keeps its digest, also when the key was replaced since."""
        ring = self.keyring(make=make)
        digest = ring.digest(content)
        same = [row for row in self.store.secrets() if row.name == name]
        if digest in {row.digest for row in same}:
            return digest
        for row in same:
            kept = self.store.sealed(name, row.digest)
            if kept is not None and self._is(kept, content):
                return row.digest
        return digest

    def _is(self, kept: SealedSecret, content: SecretBytes) -> bool:
        try:
            return self.open(kept) == content
        except StoreError:
            return False  # damaged: whoever needs it is told

    def sealed(self, row: SecretRow, content: SecretBytes) -> SealedSecret:
        """The row as it is stored."""
        key, text = self.keyring(make=True).seal(row.name, row.digest, content)
        return SealedSecret(replace(row, key=key), text)

    def resolved(self, loaded: LoadedFiles, *, make: bool) -> tuple[LoadedFiles, dict[str, tuple[SealedSecret, ...]]]:
        """The files' stacks with the digests of their secrets, and what is to be stored with each stack's revision.

        `make`: seal them, with a new key if there is none. Raises FileErrors: an external one that was never set.
        """
        stacks, kept, problems = [], {}, []
        for stack in loaded.stacks:
            specs, sealed = [], []
            for declared in loaded.secrets.get(stack.name, ()):
                try:
                    spec, more = self._resolve(stack.name, declared, make=make)
                except FileError as error:
                    problems.append(error)
                else:
                    specs.append(spec)
                    sealed += more
            stacks.append(_with_digests(stack, specs))
            kept[stack.name] = tuple(sealed)
        if problems:
            raise FileErrors(tuple(problems))
        return replace(loaded, stacks=tuple(stacks)), kept

    def _resolve(self, stack: str, declared: DeclaredSecret, *, make: bool) -> tuple[SecretSpec, list[SealedSecret]]:
        if declared.external:
            return self._external(stack, declared), []
        content = self._told(declared) if declared.command else declared.content
        assert content is not None
        digest = self.digest(declared.name, content, make=make)
        spec = SecretSpec(declared.name, declared.key, digest)
        kept = self.store.sealed(declared.name, digest)
        if not make or (kept is not None and self._is(kept, content)):
            return spec, []
        row = SecretRow(declared.name, digest, "", False, self.store.now(clock.now()), whoami())
        return spec, [self.sealed(row, content)]

    def _external(self, stack: str, declared: DeclaredSecret) -> SecretSpec:
        """The stack's own of this name, or else everybody's."""
        current = {row.name: row.digest for row in self.store.secrets() if row.current}
        for name in names(stack, declared.name):
            if name in current:
                return SecretSpec(name, declared.key, current[name], external=True)
        raise declared.error(
            f"is external, and the store has no secret {declared.name} (nor {stack}/{declared.name})",
            hint=f"shipyard secret set {declared.name}",
        )

    def _told(self, declared: DeclaredSecret) -> SecretBytes:
        """By the password manager."""
        from shipyard.files import program

        if not self._trusted.allows(declared.command):
            at = f" {declared.mark.file}" if declared.mark.file else ""
            why = f"runs a program ({declared.command[0]}): it {self._trusted.refusal}"
            raise declared.error(why, hint=f"{HINT.removesuffix('`')}{at}`")
        try:
            said = program.ask(
                declared.command,
                environ={name: said for name, said in self._environ.items() if name != self._source.variable},
                folder=self._folder,
                limit=MAX_SECRET,
                timeout=declared.timeout,
            )
        except ShipyardError as error:
            raise declared.error(error.message, hint=error.hint) from None
        if not said:
            raise declared.error(f"{declared.command[0]} printed nothing")
        content = said.reveal()
        return SecretBytes(content.removesuffix(b"\r\n" if content.endswith(b"\r\n") else b"\n"))


def missing(store: Store, stacks: Iterable[StackSpec]) -> tuple[SecretSpec, ...]:
    """Secrets of these stacks whose content the store does not have (any more), sorted by name."""
    kept = {(row.name, row.digest) for row in store.secrets()}
    wanted = {secret for stack in stacks for secret in stack.secrets if (secret.name, secret.digest) not in kept}
    return tuple(sorted(wanted, key=lambda secret: (secret.name, secret.digest)))


def _with_digests(stack: StackSpec, specs: Iterable[SecretSpec]) -> StackSpec:
    digests = {spec.key: spec.digest for spec in specs}

    def mounted(mount: ConfigMount) -> ConfigMount:
        return replace(mount, digest=digests.get(mount.name, ""))

    if not digests:
        return stack
    filled = with_containers(stack, lambda spec: replace(spec, secrets=tuple(map(mounted, spec.secrets))))
    return replace(filled, secrets=tuple(sorted(specs, key=lambda spec: spec.name)))


def _lost(names: Sequence[str], file: Path) -> StoreError:
    shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    return StoreError(
        f"the key of secrets is gone: {file} is not there, and these were sealed with it: {shown}",
        hint="put it back from where you keep a copy; if it is lost for good, `shipyard secret rotate-key --lost`"
        " makes a new one and drops what only the old one could open",
    )
