"""Tags, as Ansible has them: how they are written, and which `--tags` selects."""

from __future__ import annotations

from collections.abc import Iterable

from shipyard.files.compose.value import Value

SPECIAL = frozenset({"all", "always", "never", "tagged", "untagged"})
"""Tags with a meaning of their own in `--tags`."""


def read(value: Value) -> tuple[str, ...]:
    """A text with commas, or a list of such texts or numbers."""
    items = value.items("a tag or a list of tags") if isinstance(value.data, list) else [value]
    found: dict[str, None] = {}
    for item in items:
        for tag in item.scalar("a tag", empty=False).split(","):
            if tag.strip():
                found.setdefault(tag.strip())
    return tuple(found)


def selected(tags: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether something with these tags is meant by `--tags`. `never` asks to be named; `always` is always meant."""
    have, want = set(tags), set(wanted) or {"all"}
    if have & want - {"all"}:
        return True
    if "never" in have:
        return False
    if "always" in have or "all" in want:
        return True
    return ("tagged" in want and bool(have)) or ("untagged" in want and not have)
