"""The images for trying out, built on this machine from Debian packages: no registry is needed.

    shipyard.test/busybox:1     a shell and small tools, httpd and nc among them
    shipyard.test/redis:7       redis-server and redis-cli
    shipyard.test/guestbook:1   the web front end of playbooks/guestbook.yml

Built once and kept; what they are made from is part of the name they are kept under.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from shipyard.base.clock import now
from shipyard.base.errors import LabError
from shipyard.base.record import Struct
from shipyard.lab import archive
from shipyard.lab.archive import File, Files, folder
from shipyard.lab.command import run
from shipyard.lab.layout import cache_root
from shipyard.lab.packages import Unpacked, unpack

BUSYBOX = "shipyard.test/busybox:1"
REDIS = "shipyard.test/redis:7"
GUESTBOOK = "shipyard.test/guestbook:1"
NAMES = (BUSYBOX, REDIS, GUESTBOOK)
_PACKAGES = ("busybox-static", "redis-tools", "python3-minimal", "libpython3-stdlib")
_RECIPES = ("images.py", "archive.py", "packages.py", "guestbook.py")
_USER = 999
_KEEP = 86400.0
"""Seconds for which images of another recipe stay: a lab of another version of shipyard may be loading them."""
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LEFT_OUT = {"test", "pydoc_data", "lib-dynload", "unittest", "xml", "xmlrpc", "lib2to3", "ensurepip"}
"""Of python's library: large, and of no use in a small web server."""


class Image(Struct, frozen=True):
    """An image on this machine. `identity`: `sha256:…`, the same wherever it is loaded."""

    name: str
    identity: str
    archive: Path


def ensure(report: Callable[[str], None]) -> tuple[Image, ...]:
    """The images, built where they are not kept from before. Raises LabError."""
    cache = cache_root()
    try:
        cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (cache / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _kept(cache, report)
    except OSError as error:
        raise LabError(f"{cache}: {error.strerror}", hint="SHIPYARD_LAB_CACHE names another folder") from error


def _kept(cache: Path, report: Callable[[str], None]) -> tuple[Image, ...]:
    place = cache / f"images-{recipe()}"
    if not (place / "index.json").exists():
        report("building images from Debian packages (once)")
        _build(cache, place)
        for other in cache.glob("images-*"):
            if other != place and now() - other.stat().st_mtime > _KEEP:
                shutil.rmtree(other)
    index: dict[str, list[str]] = json.loads((place / "index.json").read_text())
    return tuple(Image(name, identity, place / file) for name, (identity, file) in index.items())


def recipe() -> str:
    """A short hash of everything that says what is in the images."""
    folder_ = resources.files("shipyard.lab")
    return hashlib.sha256(b"\0".join(folder_.joinpath(name).read_bytes() for name in _RECIPES)).hexdigest()[:16]


def _build(cache: Path, place: Path) -> None:
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".build-") as scratch:
        unpacked = unpack(_PACKAGES, Path(scratch))
        tools = archive.layer(_tools(unpacked))
        index = {}
        for name, files, config in (
            (BUSYBOX, None, _BUSYBOX_CONFIG),
            (REDIS, _redis(unpacked), _REDIS_CONFIG),
            (GUESTBOOK, _guestbook(unpacked), _GUESTBOOK_CONFIG),
        ):
            layers = (tools,) if files is None else (tools, archive.layer(files))
            identity, data = archive.image(name, layers, {"Env": [_PATH], **config})
            file = name.rpartition("/")[2].replace(":", "-") + ".tar"
            (place / file).write_bytes(data)
            index[name] = [identity, file]
    beside = place / "index.json.new"
    beside.write_text(json.dumps(index))
    beside.replace(place / "index.json")


# Of a first process, the kernel drops every signal it has no handler for: only SIGKILL ends busybox's programs.
_BUSYBOX_CONFIG: dict[str, Any] = {"Cmd": ["sh"], "StopSignal": "SIGKILL"}
_REDIS_CONFIG: dict[str, Any] = {
    "Cmd": ["redis-server", "--protected-mode", "no", "--save", ""],
    "ExposedPorts": {"6379/tcp": {}},
    "User": f"{_USER}:{_USER}",
    "WorkingDir": "/data",
}
_GUESTBOOK_CONFIG: dict[str, Any] = {
    "Cmd": ["python3", "/app/guestbook.py"],
    "Env": [_PATH, "PYTHONHOME=/usr", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"],
    "ExposedPorts": {"8080/tcp": {}},
    "User": f"{_USER}:{_USER}",
}


def _tools(unpacked: Unpacked) -> Files:
    """The layer beneath all images: busybox, its many names, and the folders that programs expect."""
    busybox = unpacked.root / "bin/busybox"
    if not busybox.exists():
        busybox = unpacked.root / "usr/bin/busybox"
    applets = run([str(busybox), "--list"], doing="reading busybox's applets").stdout.decode().split()
    return {
        "bin/busybox": File(source=busybox, mode=0o755),
        **{f"bin/{applet}": File(link="busybox") for applet in applets if applet != "busybox"},
        "etc/passwd": File(content=f"root:x:0:0::/root:/bin/sh\napp:x:{_USER}:{_USER}::/:/bin/sh\n".encode()),
        "etc/group": File(content=f"root:x:0:\napp:x:{_USER}:\n".encode()),
        "root": folder(0o700),
        "tmp": folder(0o1777),
        "var": folder(),
        "usr/bin": folder(),
    }


def _redis(unpacked: Unpacked) -> Files:
    """The server is the same program as the checker of its files; its name says which one it is."""
    return {
        **unpacked.program("usr/bin/redis-check-rdb"),
        **unpacked.program("usr/bin/redis-cli"),
        "usr/bin/redis-server": File(link="redis-check-rdb"),
        "data": folder(owner=_USER),
    }


def _guestbook(unpacked: Unpacked) -> Files:
    """Python, its library, and the application; what it imports is compiled beforehand, to start at once."""
    [library] = [path for path in (unpacked.root / "usr/lib").glob("python3.*") if (path / "os.py").exists()]
    program = f"usr/bin/{library.name}"
    app = resources.files("shipyard.lab").joinpath("guestbook.py").read_bytes()
    (library / "guestbook.py").write_bytes(app)
    _compile(unpacked, program, library)
    (library / "guestbook.py").unlink()
    kept = [path for path in sorted(library.rglob("*")) if path.is_file() and _is_kept(path.relative_to(library))]
    return {
        **unpacked.program(program),
        "usr/bin/python3": File(link=library.name),
        **{str(path.relative_to(unpacked.root)): File(source=path) for path in kept},
        "app/guestbook.py": File(content=app),
    }


def _is_kept(path: Path) -> bool:
    if path.suffix == ".pyc":
        return not path.name.startswith("guestbook.") and _LEFT_OUT.isdisjoint(path.parts[:-2])
    return path.suffix == ".py" and _LEFT_OUT.isdisjoint(path.parts)


_COMPILE = """
import py_compile, sys
import guestbook, encodings.idna, encodings.latin_1, traceback
root = sys.argv[1]
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None) or ""
    if file.startswith(root + "/") and file.endswith(".py"):
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(file, dfile=file[len(root):], doraise=True, invalidation_mode=mode)
"""


def _compile(unpacked: Unpacked, program: str, library: Path) -> None:
    """With the very python that will run it, on its own library."""
    loader = [str(unpacked.loader()), "--library-path", unpacked.library_path()]
    python = [str(unpacked.root / program), "-S", "-B", "-c", _COMPILE, str(unpacked.root)]
    home = ["env", "-i", f"PYTHONHOME={unpacked.root / 'usr'}", f"PATH={os.defpath}"]
    run([*home, *loader, *python], doing=f"compiling {library.name}'s library")
