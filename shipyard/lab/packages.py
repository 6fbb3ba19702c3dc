"""Programs out of Debian packages, without installing them: fetched, unpacked, reduced to what they need to run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from shipyard.base.errors import LabError
from shipyard.base.record import Struct
from shipyard.lab.archive import File, Files
from shipyard.lab.command import attempt, run

_DEPENDS = ("apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks")
_MORE = ("--no-replaces", "--no-enhances")
_LIBRARY = re.compile(r"lib[a-z0-9.+-]*|zlib1g")
_UNUSED = re.compile(r"lib(perl|pam|debian|elogind|db5|gdbm|newt|slang|semanage|sepol|text|python3-all)")
_TIMEOUT = 600.0


class Unpacked(Struct, frozen=True):
    """Some packages and the libraries they depend on, unpacked into a folder as if it were a root."""

    root: Path

    def program(self, path: str) -> Files:
        """A program and every shared library it needs, at their own places, ready for an image."""
        binary = self._find(path)
        found = {path: File(source=binary, mode=0o755)}
        loader = self.loader()
        done = run([str(loader), "--list", "--library-path", self.library_path(), str(binary)], doing=f"reading {path}")
        for line in done.stdout.decode().splitlines():
            name, arrow, rest = line.strip().partition(" => ")
            if not arrow:
                continue
            place = Path(rest.rsplit(" (", 1)[0])
            if not place.is_relative_to(self.root):
                raise LabError(f"{path} needs {name}, which none of the unpacked packages has")
            target = name.lstrip("/") if name.startswith("/") else f"lib/{loader.parent.name}/{name}"
            found[target] = File(source=loader if name.startswith("/") else place, mode=0o755)
        return found

    def loader(self) -> Path:
        """The dynamic loader itself. (Its usual path is an absolute link, which would lead to this machine's.)"""
        found = [path for path in self.root.rglob("ld-linux*.so.*") if not path.is_symlink()]
        if not found:
            raise LabError("the packages hold no dynamic loader")
        return found[0]

    def library_path(self) -> str:
        triplet = self.loader().parent.name
        return f"{self.root}/lib/{triplet}:{self.root}/usr/lib/{triplet}"

    def _find(self, path: str) -> Path:
        for place in (self.root / path, self.root / "usr" / path):
            if place.exists():
                return place.resolve()
        raise LabError(f"none of the unpacked packages has /{path}")


def unpack(names: Iterable[str], into: Path) -> Unpacked:
    """Fetch these packages, and the libraries they need, and unpack them. Raises LabError."""
    debs, root = into / "debs", into / "root"
    debs.mkdir(parents=True)
    root.mkdir()
    wanted = _closure(tuple(names))
    done = attempt(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *wanted], cwd=debs, timeout=_TIMEOUT)
    if done.returncode != 0:
        raise LabError(
            f"packages for the images can't be fetched: {done.stderr.decode(errors='replace').strip()}",
            hint="apt-get update, and try again; or shipyard lab up --no-images",
        )
    for deb in sorted(debs.glob("*.deb")):
        run(["dpkg", "-x", str(deb), str(root)], doing=f"unpacking {deb.name}")
    return Unpacked(root)


def _closure(names: tuple[str, ...]) -> list[str]:
    """The packages named, the libraries they depend on, and the parts of python they are split into."""
    listing = _listing(names)
    if not set(names) <= listing:
        # A machine that never asked for the list of packages knows none.
        run(["apt-get", "-q", "update"], doing="fetching the list of packages", timeout=_TIMEOUT)
        listing = _listing(names)
    parts = {name for name in listing if re.fullmatch(r"python3(\.\d+)?-minimal", name)}
    libraries = {name for name in listing if _LIBRARY.fullmatch(name) and not _UNUSED.match(name)}
    return sorted(libraries | parts | set(names))


def _listing(names: tuple[str, ...]) -> set[str]:
    lines = attempt([*_DEPENDS, *_MORE, *names], timeout=_TIMEOUT).stdout.decode().splitlines()
    return {line for line in lines if line and line[0] not in " <"}
