"""`volumes` and `tmpfs`: short and long forms. Named volumes must be declared; binds are paths on the node."""

from __future__ import annotations

import posixpath

from shipyard.files.compose import configs, power, sent
from shipyard.files.compose.keys import Key, Table, not_yet
from shipyard.files.compose.scalars import anything, boolean, octal, size, text, text_or_texts, word
from shipyard.files.compose.value import Value
from shipyard.model.container import ConfigMount, Mount, Pairs

_PROPAGATION = ("shared", "slave", "private", "rshared", "rslave", "rprivate")
_CONSISTENCY = ("cached", "delegated", "consistent")


Mounted = Mount | tuple[ConfigMount, ...]
"""One entry of `volumes`: a mount, or the files that a relative path comes to."""


def mounts(value: Value) -> tuple[Mount | ConfigMount, ...]:
    """The entries of `volumes`. Where two have one target the later one counts, as in Compose.

    What a relative path holds is files that are sent to the nodes, as configs are.
    """
    made: dict[str, Mount | ConfigMount] = {}
    for item in value.items("a list of volumes"):
        with value.reading.collect():
            mount = _long(item) if isinstance(item.data, dict) else _short(item)
            for each in mount if isinstance(mount, tuple) else (mount,) if mount is not None else ():
                if each.target in made and made[each.target] != each:
                    item.notice(f"{each.target} is mounted twice; the later one counts")
                made[each.target] = each
    return tuple(made.values())


def tmpfs(value: Value) -> tuple[Mount, ...]:
    """`/run`, `/run:size=64m,mode=1777`, or a list of them."""
    made: list[Mount] = []
    for said in text_or_texts(value):
        with value.reading.collect():
            target, _, rest = said.partition(":")
            options = {}
            for word_ in filter(None, rest.split(",")):
                name, _, what = word_.partition("=")
                options[name] = str(size(value.child("size", what))) if name == "size" else what
            read_only = "ro" in options
            kept = tuple(sorted((name, what) for name, what in options.items() if name not in ("ro", "rw")))
            made.append(Mount("tmpfs", _target(value, target), None, read_only, options=kept))
    return tuple(made)


def _short(value: Value) -> Mounted:
    parts = value.text("a volume, such as data:/var/lib/data, or a mapping with type", empty=False).split(":")
    if len(parts) == 1:
        return Mount("volume", _target(value, parts[0]))
    if len(parts) > 3 or not parts[0] or not parts[1]:
        raise value.expected("SOURCE:TARGET or SOURCE:TARGET:MODE")
    source, target = parts[0], _target(value, parts[1])
    read_only, options = _modes(value, parts[2] if len(parts) == 3 else "")
    if source[0] == ".":
        return sent.files(value, source, target, read_only=read_only)
    if source[0] in "/~":
        return Mount("bind", target, _bind_source(value, source), read_only, create=True, options=options)
    return Mount("volume", target, _volume(value, source), read_only, options=options)


def _modes(value: Value, said: str) -> tuple[bool, Pairs]:
    read_only = False
    options: dict[str, str] = {}
    for mode in filter(None, said.split(",")):
        if mode in ("ro", "rw"):
            read_only = mode == "ro"
        elif mode in ("z", "Z"):
            options["selinux"] = mode
        elif mode == "nocopy":
            options["nocopy"] = "true"
        elif mode in _PROPAGATION:
            options["propagation"] = mode
        elif mode not in _CONSISTENCY:
            raise value.error(
                f"{mode!r} is no mode of a volume", hint="known are ro, rw, z, Z, nocopy and " + ", ".join(_PROPAGATION)
            )
    return read_only, tuple(sorted(options.items()))


def _target(value: Value, said: str) -> str:
    if not said.startswith("/"):
        raise value.error(f"the target {said!r} is not an absolute path in the container")
    target = posixpath.normpath(said)
    return target.replace("//", "/", 1) if target.startswith("//") else target


def _bind_source(value: Value, said: str) -> str:
    if said.startswith("~"):
        raise value.error(
            f"{said} has a ~, which nobody expands on the node", hint="write the absolute path on the node"
        )
    power.path(value, said)
    return said


def _volume(value: Value, key: str) -> str:
    return value.reading.resources.volume(value, key)


BIND = Table(
    "bind",
    Key("propagation", "word", "Mount propagation.", word(*_PROPAGATION)),
    Key("create_host_path", "boolean", "Make the folder on the node if it is missing.", boolean, "`false`"),
    Key("selinux", "`z` or `Z`", "SELinux label, shared or private.", word("z", "Z")),
    not_yet("recursive"),
)
VOLUME = Table(
    "volume",
    Key("nocopy", "boolean", "Don't fill a new volume from the image.", boolean, "`false`"),
    Key("subpath", "path", "A folder inside the volume.", text),
    not_yet("labels", "labels can be given where the volume is declared"),
)
TMPFS = Table(
    "tmpfs",
    Key("size", "size", "How large it may grow.", size),
    Key("mode", "octal mode", "Permissions.", octal),
)
LONG = Table(
    "a volume",
    Key("type", "`volume`, `bind`, `tmpfs`", "The kind of mount. Required.", word("volume", "bind", "tmpfs")),
    Key("source", "text", "A declared volume, or an absolute path on the node.", text),
    Key("target", "path", "Where in the container. Required.", text),
    Key("read_only", "boolean", "Mount read-only.", boolean, "`false`"),
    Key("bind", "mapping", "`propagation`, `create_host_path`, `selinux`.", BIND.read),
    Key("volume", "mapping", "`nocopy`, `subpath`.", VOLUME.read),
    Key("tmpfs", "mapping", "`size`, `mode`.", TMPFS.read),
    Key("consistency", "text", "Accepted, and of no effect on Linux.", anything),
    not_yet("image"),
)


def _long(value: Value) -> Mounted | None:
    """None where its kind or target could not be read, which is noted."""
    if value.data.get("type") in ("npipe", "cluster", "image"):
        raise value.error(f"the type {value.data['type']} is not carried out yet")
    got = LONG.read(value)
    missing = [name for name in ("type", "target") if value.data.get(name) is None]
    if missing:
        raise value.error(f"has no {' and no '.join(missing)}")
    if "type" not in got or "target" not in got:
        return None
    kind, source, target = got["type"], got.get("source"), _target(value, got["target"])
    for other in {"bind", "volume", "tmpfs"} - {kind}:
        if other in got:
            raise value.error(f"is of type {kind}, so {other}: has no meaning")
    options = dict(got.get(kind, {}))
    create = bool(options.pop("create_host_path", False))
    if kind == "bind":
        if not source:
            raise value.error("is a bind without a source")
        if not source.startswith(("/", "~")):
            return sent.files(value, source, target, read_only=got.get("read_only", False))
        source = _bind_source(value, source)
    elif kind == "volume":
        source = _volume(value, source) if source else None
    elif source:
        raise value.error("is a tmpfs, which has no source")
    said = {name: str(item).lower() if isinstance(item, bool) else str(item) for name, item in options.items()}
    kept = tuple(sorted((name, item) for name, item in said.items() if (name, item) != ("nocopy", "false")))
    return Mount(kind, target, source, got.get("read_only", False), create, kept)


KEYS = (
    Key(
        "volumes",
        "list",
        "`NAME:/path[:ro]`, `/on/the/node:/path`, `./in/the/project:/path` (files are sent), `/path`, or mappings.",
        mounts,
    ),
    Key("tmpfs", "text or list", "Folders in memory: `/run`, `/run:size=64m,mode=1777`.", tmpfs),
    Key(
        "configs",
        "list",
        "Files from the stack's configs: names, or mappings of `source`, `target`, `uid`, `gid`, `mode`.",
        configs.mounts,
    ),
    Key(
        "secrets",
        "list",
        "Files from the stack's secrets: names, or mappings of `source`, `target`, `uid`, `gid`, `mode`.",
        configs.secret_mounts,
    ),
    Key("read_only", "boolean", "The root file system can't be written.", boolean, "`false`"),
)
