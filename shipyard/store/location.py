"""Where a store is: the URL or path people write, and whether SQLite can be trusted to work there.

Write-ahead logging needs memory shared between processes, which network file systems do not have: two machines
would each believe to be alone. Such places are refused rather than corrupted.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from shipyard.base.errors import StoreError
from shipyard.base.record import Struct
from shipyard.base.text import without_password

NETWORK_TYPES = frozenset(
    """9p acfs afs beegfs ceph cifs coda davfs drvfs gfs gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs pvfs2
    smb3 smbfs vboxsf vmhgfs fuse.ceph fuse.davfs2 fuse.gcsfuse fuse.glusterfs fuse.gvfsd-fuse fuse.rclone fuse.s3fs
    fuse.sshfs fuse.vmhgfs-fuse""".split()  # noqa: SIM905 (a list of as many quoted words would be a page)
)
MOUNTS = Path("/proc/self/mounts")
MAGIC = b"SQLite format 3\0"


class Location(Struct, frozen=True):
    """Either `path`, of a SQLite file, or `url`, of a server. `shown`: for messages, without a password."""

    shown: str
    path: Path | None = None
    url: str = ""


def parse(url: str) -> Location:
    """A path, `sqlite:///relative`, `sqlite:////absolute` or `postgresql://…`. Raises StoreError for others."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _file(url)
    if scheme == "sqlite":
        if not rest.startswith("/") or len(rest) < 2 or "?" in rest or rest[1:].startswith((":memory:", "file:")):
            raise StoreError(
                f"{url} is not a place for a store",
                hint="write sqlite:///relative/path.db, sqlite:////absolute/path.db, or a path",
            )
        return _file(rest[1:])
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        return Location(without_password(f"postgresql://{rest}"), url=f"postgresql+psycopg://{rest}")
    raise StoreError(f"a store can't be kept in {scheme}", hint="write sqlite:///path or postgresql://user@host/name")


def _file(path: str) -> Location:
    if not path or "\0" in path:
        raise StoreError("the store's path is empty or holds a NUL byte", hint="see `database` in shipyard.toml")
    absolute = Path(path).expanduser().absolute()
    return Location(str(absolute), absolute)


def check_file(
    location: Location, path: Path, *, create: bool, writable: bool = True, any_content: bool = False
) -> bool:
    """Whether there is something in the file at `path`; its directory is made where `create` says so.

    Raises StoreError where no store can be: not a file, not SQLite's, not ours to write, a network file system.
    """
    try:
        if create:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_place(location, path)
        status = path.stat()
    except FileNotFoundError:
        if create:
            return False
        raise StoreError(
            f"there is no store at {location.shown}",
            hint="`shipyard apply` makes one; elsewhere? see --database and `database` in shipyard.toml",
        ) from None
    except OSError as error:
        raise cannot(location, "be opened", error) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise StoreError(f"the store can't be {location.shown}: that is {kind}", hint="move it away, or name another")
    _check_rights(location, path, status, writable=writable)
    if status.st_size and not any_content:
        _check_content(location, path)
    if writable and status.st_mode & 0o077 and status.st_uid == os.geteuid():
        make_private(path)
    return status.st_size > 0


def _check_place(location: Location, path: Path) -> None:
    directory = path.resolve().parent
    directory.stat()
    try:
        mounts = MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return  # no Linux, or a /proc that does not tell
    kind = network_type(str(directory), mounts)
    if kind is not None:
        raise StoreError(
            f"the store {location.shown} would be on a network file system ({kind}), where SQLite can't lock safely",
            hint="name a place on a local disk: --database, or `database` in shipyard.toml",
        )


def network_type(directory: str, mounts: str) -> str | None:
    """The type of the network file system that holds `directory`, or None. `mounts`: text of /proc/self/mounts."""
    found, length = "", -1
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[1]).rstrip("/")
        if (directory == point or directory.startswith(point + "/")) and len(point) >= length:
            found, length = fields[2], len(point)  # of two on one point the later hides the earlier
    return found if found in NETWORK_TYPES else None


def _check_rights(location: Location, path: Path, status: os.stat_result, *, writable: bool) -> None:
    wanted = os.R_OK | os.W_OK if writable else os.R_OK
    if _may(path, wanted) and (not writable or _may(path.parent, os.W_OK | os.X_OK)):
        return
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise StoreError(
            f"the store {location.shown} can't be written: its file system is read-only",
            hint="mount it for writing (was it remounted after an error? see dmesg), or name another place",
        )
    what = "read and written" if writable else "read"
    if _may(path, wanted):  # then it is its directory, where SQLite keeps its log
        held, name, advice = path.parent.stat(), f"its directory {path.parent}", "directory"
    else:
        held, name, advice = status, "its file", "file, its directory"
    raise StoreError(
        f"the store {location.shown} can't be {what} by this user: {name} has mode"
        f" {held.st_mode & 0o7777:04o} and owner {held.st_uid}, and this is user {os.geteuid()}",
        hint=f"run as its owner, or look at the rights of the {advice} and the file system",
    )


def _may(path: Path, wanted: int) -> bool:
    return os.access(path, wanted, effective_ids=os.access in os.supports_effective_ids)


def _check_content(location: Location, path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            return
    raise StoreError(
        f"{location.shown} is not a store: it is no SQLite database",
        hint="check --database; a store that was overwritten comes back with `shipyard state restore`",
    )


def make_private(path: Path) -> None:
    """0600 for the file and what SQLite keeps beside it."""
    for name in (path, *beside(path)):
        if name.exists():
            name.chmod(0o600)


def beside(path: Path) -> tuple[Path, Path]:
    """SQLite's log and shared memory, which belong to the file."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def make_empty(location: Location, path: Path) -> None:
    """An empty file that only its owner can read, before SQLite makes one that others can."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise cannot(location, "be made", error) from error


def cannot(location: Location, what: str, error: OSError) -> StoreError:
    """`the store X can't …`, in the system's words."""
    return StoreError(
        f"the store {location.shown} can't {what}: {error.strerror or error}",
        hint="look at the rights and the free space of its directory, or name another place with --database",
    )
