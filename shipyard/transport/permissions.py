"""Whether somebody else could have written a file: ssh reads no configuration of a user that is open to others."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path


def why_insecure(descriptor: int, home: Path) -> str | None:
    """What is wrong with an open file's owner or mode; None where only its owner and root can write it.

    `home`: whose files are read. Its owner may have written it, too: `sudo` can leave HOME as it was.
    """
    status = os.fstat(descriptor)
    if status.st_uid not in {0, os.getuid()} and status.st_uid != _owner(home):
        return "it belongs to another user"
    if status.st_mode & stat.S_IWOTH:
        return "everybody may write it"
    if status.st_mode & stat.S_IWGRP and not _only_member(status.st_gid, status.st_uid):
        return "its group may write it"
    return None


def _owner(folder: Path) -> int | None:
    try:
        return folder.stat().st_uid
    except OSError:
        return None


def _only_member(gid: int, uid: int) -> bool:
    """Whether a group has one member, the owner: many systems give each user a group of the same name."""
    try:
        named = grp.getgrgid(gid).gr_mem
        owner = pwd.getpwuid(uid).pw_name
    except KeyError:
        return False
    primary = [entry.pw_uid for entry in pwd.getpwall() if entry.pw_gid == gid]
    return bool(primary or named) and all(user in {uid, os.getuid()} for user in primary) and named in ([], [owner])
