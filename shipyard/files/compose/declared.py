"""What the services of one stack can refer to, by the keys of the file, and what it is called on the nodes."""

from __future__ import annotations

import dataclasses
import difflib
import re
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from shipyard.base.errors import FileError
from shipyard.base.record import Struct, field
from shipyard.base.secret import SecretBytes
from shipyard.model.spec import ConfigSpec, NetworkSpec, VolumeSpec

if TYPE_CHECKING:
    from shipyard.files.compose.value import Value


@dataclasses.dataclass(frozen=True, slots=True)
class DeclaredSecret:
    """A secret as a file declares it. `name`: what the store is to call it, or what an external one is called there.

    `content`: read already; or `command`, in `timeout` seconds, tells it. `mark`: an error at the declaration's place,
    for those that come to light later.
    """

    name: str
    key: str
    mark: FileError = dataclasses.field(compare=False, repr=False)
    external: bool = False
    content: SecretBytes | None = None
    command: tuple[str, ...] = ()
    timeout: float = 0.0

    def error(self, message: str, *, hint: str | None = None) -> FileError:
        """An error at its place."""
        return placed(self.mark, message, hint=hint)


def placed(mark: FileError, message: str, *, hint: str | None = None) -> FileError:
    """An error at the place of another one."""
    return FileError(message, file=mark.file, line=mark.line, column=mark.column, key=mark.key, hint=hint)


T = TypeVar("T", NetworkSpec, VolumeSpec, ConfigSpec, DeclaredSecret)

DEFAULT = "default"
KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
FULL_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}")
"""What docker and podman both take: two characters at least."""


class Declared(Struct, Generic[T]):
    """One kind of resource of a stack by key. `broken`: keys whose declaration has an error, told already."""

    kind: str
    specs: dict[str, T] = field(default_factory=dict)
    places: dict[str, Value] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def get(self, value: Value, key: str) -> T | None:
        """The resource that a service refers to. None where its declaration is broken."""
        self.used.add(key)
        if key in self.specs:
            return self.specs[key]
        if key in self.broken:
            return None
        near = difflib.get_close_matches(key, self.specs, n=1)
        said = f"{{file: ./{key}}}" if self.kind in ("config", "secret") else ""
        hint = f"did you mean {near[0]}?" if near else f'declare it beside services: "{self.kind}s: {{{key}: {said}}}"'
        raise value.error(f"refers to the {self.kind} {key!r}, which is not declared", hint=hint)

    def in_use(self) -> tuple[T, ...]:
        """Sorted by name; two keys may mean the same."""
        specs = (self.specs[key] for key in self.used if key in self.specs)
        return tuple(sorted(specs, key=lambda spec: (spec.name, spec.key)))


class Resources(Struct):
    """What the services of one stack can refer to."""

    stack: str
    networks: Declared[NetworkSpec] = field(default_factory=lambda: Declared("network"))
    volumes: Declared[VolumeSpec] = field(default_factory=lambda: Declared("volume"))
    configs: Declared[ConfigSpec] = field(default_factory=lambda: Declared("config"))
    secrets: Declared[DeclaredSecret] = field(default_factory=lambda: Declared("secret"))

    def volume(self, value: Value, key: str) -> str:
        """The full name of a volume that a service mounts."""
        spec = self.volumes.get(value, key)
        return spec.name if spec else key

    def network(self, value: Value, key: str) -> NetworkSpec:
        """The network that a service joins; `default` needs no declaration."""
        if key == DEFAULT and key not in self.networks.specs and key not in self.networks.broken:
            self.networks.specs[key] = NetworkSpec(f"{self.stack}_{DEFAULT}", DEFAULT)
        return self.networks.get(value, key) or NetworkSpec(key, key)


def full_name(value: Value, stack: str, key: str, got: dict[str, Any]) -> str:
    """`stack_key`; what `name` says, or for an external one the key itself."""
    name: str = got.get("name") or (key if got.get("external") else f"{stack}_{key}")
    if FULL_NAME.fullmatch(name) is None:
        raise value.error(f"the name {name!r} is none that container runtimes take (two or more of a-z, 0-9, _ . -)")
    return name
