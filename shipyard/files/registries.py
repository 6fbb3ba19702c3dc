"""The user's own registry credentials, as `docker login` and `podman login` keep them on this machine.

They are read when an image is to be pulled, handed to that pull alone, and kept nowhere: not in the store, not on a
node. What is asked of the files is what docker and podman ask of them.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct
from shipyard.files import registryhelper
from shipyard.model.image import HUB, RegistryAuth, repository_of

_HUB_NAMES = {HUB, "index.docker.io", "registry-1.docker.io"}
_MAX_BYTES = 4 * 1024 * 1024
TOKEN_USER = "<token>"
"""The user name by which helpers say that what they hand out is an identity token."""


@dataclass(slots=True)
class Credentials:
    """Reads each file, and asks each helper for each registry, once and only when needed. Keeps what it found out."""

    environ: Mapping[str, str] = field(repr=False)
    _files: tuple[_File, ...] | None = field(default=None, repr=False)
    _known: dict[str, RegistryAuth | None] = field(default_factory=dict, repr=False)

    def auth_for(self, image: str) -> RegistryAuth | None:
        """What to pull this image with; None for nothing. Raises ConfigError on what can't be read or asked."""
        if image.startswith("sha256:"):
            return None
        repository = repository_of(image)
        if repository not in self._known:
            self._known[repository] = self._find(repository)
        return self._known[repository]

    def _find(self, repository: str) -> RegistryAuth | None:
        """The longest key over all files that is a prefix of the repository; of equals, the first file's."""
        if self._files is None:
            self._files = tuple(found for path in _paths(self.environ) if (found := _read(path)) is not None)
        for key in _prefixes(repository):
            for file in self._files:
                auth = file.auth(key, self.environ)
                if auth is not None:
                    return auth
        return None


class _File(Struct, frozen=True):
    """One file. `auths`, `helpers`: by plain key: a host, for podman also with the beginning of a path."""

    path: Path
    auths: Mapping[str, Mapping[str, Any]]
    helpers: Mapping[str, str]
    store: str

    def auth(self, key: str, environ: Mapping[str, str]) -> RegistryAuth | None:
        """What is under this very key. Helpers know hosts only."""
        helper = self.helpers.get(key)
        if helper is None and self.store and "/" not in key:
            helper = self.store
        if helper is not None:
            found = self._ask(helper, key, environ)
            if found is not None:
                return found
        return self._written(key) if key in self.auths else None

    def _ask(self, helper: str, key: str, environ: Mapping[str, str]) -> RegistryAuth | None:
        server = "https://index.docker.io/v1/" if key == HUB else key
        named = key in self.helpers or key in self.auths
        try:
            found = registryhelper.get(helper, server, environ)
        except registryhelper.MissingError as error:
            if not named:  # a store for all registries, which this machine has not: no reason to pull nothing public
                return None
            raise ConfigError(f"{self.path}: {error.message}", hint=error.hint) from None
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error.message}", hint=error.hint) from None
        if found is None:
            return None
        user, secret = found
        host = key.partition("/")[0]
        if user == TOKEN_USER:
            return RegistryAuth(host, user, identity_token=secret)
        return RegistryAuth(host, user, secret)

    def _written(self, key: str) -> RegistryAuth | None:
        entry = self.auths[key]
        where = f"{self.path}: auths: {key}"
        user, password = _text(entry, "username", where), _text(entry, "password", where)
        encoded, token = _text(entry, "auth", where), _text(entry, "identitytoken", where)
        if encoded:
            user, password = _decoded(encoded, where)
        if token:
            return RegistryAuth(key.partition("/")[0], user or TOKEN_USER, password, token)
        return RegistryAuth(key.partition("/")[0], user, password) if user else None


def _paths(environ: Mapping[str, str]) -> Iterator[Path]:
    """Docker's file, then podman's, where these programs look for them. Raises ConfigError if a named one is gone."""
    home = environ.get("HOME", "")
    if environ.get("DOCKER_CONFIG"):
        yield Path(environ["DOCKER_CONFIG"], "config.json")
    elif home:
        yield Path(home, ".docker", "config.json")
    if environ.get("REGISTRY_AUTH_FILE"):
        named = Path(environ["REGISTRY_AUTH_FILE"])
        if not named.exists():
            raise ConfigError(f"REGISTRY_AUTH_FILE: {named} is not there")
        yield named
        return
    running = environ.get("XDG_RUNTIME_DIR")
    yield Path(running, "containers", "auth.json") if running else Path(f"/run/containers/{os.getuid()}/auth.json")
    if environ.get("XDG_CONFIG_HOME") or home:
        yield Path(environ.get("XDG_CONFIG_HOME") or Path(home, ".config"), "containers", "auth.json")


def _read(path: Path) -> _File | None:
    """Raises ConfigError; None where there is no file."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path}: registry credentials can't be read: {error.strerror}") from None
    if len(raw) > _MAX_BYTES:
        raise ConfigError(f"{path}: too large for a file of registry credentials")
    try:
        content = json.loads(raw or b"{}")
    except ValueError:  # its words may quote the file, which holds secrets
        raise ConfigError(
            f"{path}: registry credentials can't be read: it is not JSON",
            hint="mend it, or log in again with `docker login` or `podman login`",
        ) from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: registry credentials can't be read: it holds no JSON object")
    auths = _object(content, "auths", path)
    wrong = [key for key, entry in auths.items() if not isinstance(entry, dict)]
    if wrong:
        raise ConfigError(f"{path}: auths: {wrong[0]} is no object")
    helpers = _object(content, "credHelpers", path)
    return _File(
        path,
        {_plain(key): entry for key, entry in auths.items()},
        {_plain(key): _text(helpers, key, f"{path}: credHelpers") for key in helpers},
        _text(content, "credsStore", str(path)),
    )


def _object(content: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    found = content.get(key) or {}
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: {key} is no object")
    return found


def _text(content: Mapping[str, Any], key: str, where: str) -> str:
    found = content.get(key) or ""
    if not isinstance(found, str):
        raise ConfigError(f"{where}: {key} is no text")
    return found


def _plain(key: str) -> str:
    """`https://registry.example/v2/` is what older clients wrote for `registry.example`."""
    bare = key.removeprefix("https://").removeprefix("http://")
    host, _, path = bare.rstrip("/").partition("/")
    if host in _HUB_NAMES:
        host = HUB
    return host if bare != key or path in ("", "v1", "v2") else f"{host}/{path}"


def _prefixes(repository: str) -> Iterator[str]:
    """`a.example/b/c`, `a.example/b`, `a.example`."""
    host, _, path = repository.partition("/")
    whole = f"{HUB if host in _HUB_NAMES else host}/{path}"
    while whole:
        yield whole
        whole = whole.rpartition("/")[0]


def _decoded(encoded: str, where: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        text = ""
    user, colon, password = text.partition(":")
    if not colon or not user:
        raise ConfigError(f"{where}: auth is not the base64 of user:password", hint="log in to it again")
    return user, password.strip("\0")
