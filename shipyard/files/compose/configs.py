"""A service's `configs`: which of the stack's configs it gets as files, where and whose."""

from __future__ import annotations

import posixpath

from shipyard.files.compose.keys import Key, Table
from shipyard.files.compose.scalars import octal, pattern, text
from shipyard.files.compose.value import Value
from shipyard.model.spec import ConfigMount

_owner = pattern(r"[0-9]{1,10}", "a numeric id")

MOUNT = Table(
    "a service's config",
    Key("source", "text", "The config's key. Required.", text),
    Key("target", "path", "The file in the container.", text, "`/SOURCE`"),
    Key("uid", "text", "The file's owner, a number.", _owner, '`"0"`'),
    Key("gid", "text", "The file's group, a number.", _owner, '`"0"`'),
    Key("mode", "octal mode", "The file's permissions.", lambda value: int(octal(value), 8), "`0444`"),
)


def mounts(value: Value) -> tuple[ConfigMount, ...]:
    """Names, or mappings. Two can't be one file."""
    made: dict[str, ConfigMount] = {}
    for item in value.items("a list of configs"):
        with value.reading.collect():
            mount = _mount(item)
            if mount is None:
                continue
            if mount.target in made and made[mount.target] != mount:
                raise item.error(f"is put at {mount.target}, where another config is already")
            made[mount.target] = mount
    return tuple(sorted(made.values(), key=lambda mount: mount.target))


def _mount(value: Value) -> ConfigMount | None:
    if isinstance(value.data, dict):
        got = MOUNT.read(value)
        if "source" not in got:
            raise value.error("has no source")
    else:
        got = {"source": value.text("a config's name, or a mapping with source", empty=False)}
    key = got["source"]
    spec = value.reading.resources.configs.get(value, key)
    if spec is None:
        return None
    target = posixpath.normpath(posixpath.join("/", got.get("target", key)))
    return ConfigMount(spec.name, spec.digest, target, got.get("uid"), got.get("gid"), got.get("mode"))
