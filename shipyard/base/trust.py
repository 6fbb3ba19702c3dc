"""Which programs of a project may run: those that somebody looked at, for as long as they are what they were then.

A program is told by its words, and by the content of the files of the project that these name: `sh scripts/key.sh` is
another program once scripts/key.sh was changed. What a program reads besides is its own business.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path

MAX_BYTES = 64 * 1024 * 1024
"""Of one file; what is larger is never the same."""


class Trust:
    """What is known of one project. `digests`: of its trusted programs; None where it was never trusted.

    Two are equal where they allow the same.
    """

    def __init__(self, root: Path, digests: Collection[str] | None = None, *, everything: bool = False) -> None:
        self._root = root
        self._digests = None if digests is None else frozenset(digests)
        self._everything = everything

    @classmethod
    def all(cls, root: Path = Path()) -> Trust:
        """Allows everything."""
        return cls(root, (), everything=True)

    def allows(self, words: Sequence[str]) -> bool:
        """Whether this program may run: words as they stand in the project's files, before anything is filled in."""
        return self._everything or (self._digests is not None and fingerprint(words, self._root) in self._digests)

    @property
    def refusal(self) -> str:
        """Why one that is not allowed is not, after "it"."""
        if self._digests is None:
            return "is a program of this project, and those are not run until the project is trusted"
        return "is new, or was changed, since the programs of this project were trusted"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trust):
            return NotImplemented
        return (self._root, self._digests, self._everything) == (other._root, other._digests, other._everything)

    def __hash__(self) -> int:
        return hash((self._root, self._digests, self._everything))


HINT = "look at it, then `shipyard trust-project`"
NOTHING = Trust(Path())
"""Allows nothing."""


def fingerprint(words: Sequence[str], root: Path) -> str:
    """What tells this program from others, and from itself when it was changed."""
    total = hashlib.sha256()
    for number, word in enumerate(words):
        total.update(b"%d:%s" % (len(word.encode(errors="surrogateescape")), word.encode(errors="surrogateescape")))
        content = _content(root, word, whole=number == 0)
        total.update(b"-" if content is None else content)
    return total.hexdigest()


def _content(root: Path, word: str, *, whole: bool) -> bytes | None:
    """The digest of the file that a word names; None where it names none, or one that the system brings along.

    `whole`: the word is a program's own path, so that it counts wherever it is: it was given to us as a path.
    """
    if not word or "\0" in word or (whole and "/" not in word):
        return None
    try:
        path = (root / word).resolve()
        if not (path.is_relative_to(root.resolve()) or (whole and not _of_the_system(path))):
            return None
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            if status.st_size > MAX_BYTES:
                return os.urandom(32)
            return hashlib.file_digest(file, "sha256").digest()
    except (OSError, RuntimeError, ValueError):
        return None


def _of_the_system(path: Path) -> bool:
    """Whether only root can have put it there: updates of the system are nothing to agree to."""
    return any(path.is_relative_to(folder) for folder in ("/usr", "/bin", "/sbin"))
