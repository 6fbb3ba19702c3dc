"""Images made of nothing but files, in the form that `docker load` and `podman load` read.

No time, no user name and no order of a folder's listing gets in, so the same files give the same image id, on every
node and with every runtime.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shipyard.base.record import Struct

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class File(Struct, frozen=True):
    """One entry of a layer. Exactly one of content, source (a file of this machine), link; none: a folder."""

    content: bytes | None = None
    source: Path | None = None
    link: str | None = None
    mode: int = 0o644
    owner: int = 0


Files = dict[str, File]
"""By absolute path in the image, without the leading slash."""


def folder(mode: int = 0o755, owner: int = 0) -> File:
    """An empty folder."""
    return File(mode=mode, owner=owner)


def layer(files: Mapping[str, File]) -> bytes:
    """A layer as a tar, parent folders added."""
    everything = {str(parent): folder() for path in files for parent in Path(path).parents if str(parent) != "."}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, file in sorted({**everything, **files}.items()):
            _add(tar, path, file)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, path: str, file: File) -> None:
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid, info.mtime = file.mode, file.owner, file.owner, 0
    if file.link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, file.link
        tar.addfile(info)
    elif file.content is None and file.source is None:
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    else:
        content = file.source.read_bytes() if file.source is not None else file.content or b""
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))


def image(name: str, layers: tuple[bytes, ...], config: Mapping[str, Any]) -> tuple[str, bytes]:
    """The image's id (`sha256:…`), and its archive. `config`: Cmd, Env, User and so on, as in `inspect`."""
    digests = [hashlib.sha256(each).hexdigest() for each in layers]
    described = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "shipyard lab"} for _ in layers],
    }
    text = json.dumps(described, sort_keys=True, separators=(",", ":")).encode()
    identity = hashlib.sha256(text).hexdigest()
    paths = [f"{digest}.tar" for digest in digests]
    manifest = [{"Config": f"{identity}.json", "RepoTags": [name], "Layers": paths}]
    files = {
        f"{identity}.json": File(content=text),
        "manifest.json": File(content=json.dumps(manifest).encode()),
        **{path: File(content=each) for path, each in zip(paths, layers, strict=True)},
    }
    return f"sha256:{identity}", layer(files)
