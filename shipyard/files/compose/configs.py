"""A service's `configs` and `secrets`: which of the stack's it gets as files, where and whose."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.scalars import octal, pattern, text
from shipyard.files.compose.value import Value
from shipyard.model.container import ConfigMount

SECRETS = "/run/secrets"

_owner = pattern(r"[0-9]{1,10}", "a numeric id")
_OWNER = (
    Key("uid", "text", "The file's owner, a number.", _owner, '`"0"`'),
    Key("gid", "text", "The file's group, a number.", _owner, '`"0"`'),
    Key("mode", "octal mode", "The file's permissions.", lambda value: int(octal(value), 8), "`0444`"),
)
MOUNT = Table(
    "a service's config",
    Key("source", "text", "The config's key. Required.", text),
    Key("target", "path", "The file in the container.", text, "`/SOURCE`"),
    *_OWNER,
)
SECRET_MOUNT = Table(
    "a service's secret",
    Key("source", "text", "The secret's key. Required.", text),
    Key("target", "path", "The file in the container; a relative one is below `/run/secrets`.", text, "`SOURCE`"),
    *_OWNER,
)
Content = tuple[str, str]
"""A content's name and digest, as `ConfigMount` has them."""


def mounts(value: Value) -> tuple[ConfigMount, ...]:
    """Names, or mappings. Two can't be one file."""
    return _each(value, "config", MOUNT, "/", _config)


def secret_mounts(value: Value) -> tuple[ConfigMount, ...]:
    """The same of secrets. Their digests are filled in by whoever has the key."""
    return _each(value, "secret", SECRET_MOUNT, SECRETS, _secret)


def _each(
    value: Value, kind: str, table: Table, folder: str, find: Callable[[Value, str], Content | None]
) -> tuple[ConfigMount, ...]:
    made: dict[str, ConfigMount] = {}
    for item in value.items(f"a list of {kind}s"):
        with value.reading.collect():
            mount = _mount(item, kind, table, folder, find)
            if mount is None:
                continue
            if mount.target in made and made[mount.target] != mount:
                raise item.error(f"is put at {mount.target}, where another {kind} is already")
            made[mount.target] = mount
    return tuple(sorted(made.values(), key=lambda mount: mount.target))


def _mount(
    value: Value, kind: str, table: Table, folder: str, find: Callable[[Value, str], Content | None]
) -> ConfigMount | None:
    if isinstance(value.data, dict):
        got = table.read(value)
        if "source" not in got:
            raise value.error("has no source")
    else:
        got = {"source": value.text(f"a {kind}'s name, or a mapping with source", empty=False)}
    key = got["source"]
    content = find(value, key)
    if content is None:
        return None
    target = posixpath.normpath(posixpath.join(folder, got.get("target", key)))
    return ConfigMount(*content, target, got.get("uid"), got.get("gid"), got.get("mode"))


def _config(value: Value, key: str) -> Content | None:
    spec = value.reading.resources.configs.get(value, key)
    return (spec.name, spec.digest) if spec is not None else None


def _secret(value: Value, key: str) -> Content | None:
    return (key, "") if value.reading.resources.secrets.get(value, key) is not None else None
