"""What Ansible's YAML tags make of a value, and whether a text is a template: known without importing Jinja."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipyard.files.yamldoc import Mark, Tags

if TYPE_CHECKING:
    from shipyard.files.ansiblevault import Keys


class Unsafe(str):
    """A text that is never a template, whatever it holds (`!unsafe`)."""

    __slots__ = ()


class Vaulted:
    """An encrypted value (`!vault`): opened where it is used, and only there; carried along and shown it stays closed.

    Two are equal where their ciphertext is. `file`, `line`: where it stands. `opened`: the text, once it was.
    """

    __slots__ = ("_keys", "ciphertext", "file", "line", "opened")

    def __init__(self, ciphertext: str, file: str = "variable", line: int = 1, keys: Keys | None = None) -> None:
        self.ciphertext, self.file, self.line = ciphertext, file, line
        self._keys = keys
        self.opened: Unsafe | None = None

    def open(self) -> Unsafe:
        """The text, which is no template, whatever it holds (as in Ansible). Raises FileError, at the value's place."""
        if self.opened is None:
            keys = self._keys
            if keys is None:
                from shipyard.files.ansiblevault import Keys

                keys = Keys()
            self.opened = Unsafe(keys.text(self.ciphertext, self.file, self.line))
        return self.opened

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vaulted) and other.ciphertext == self.ciphertext

    def __hash__(self) -> int:
        return hash((Vaulted, self.ciphertext))

    def __repr__(self) -> str:
        return f"Vaulted({self.ciphertext!r})"


def user_path(text: str) -> Path:
    """The path a person wrote, with `~` as their home; `~nobody` stays as it is where there is no such user."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  # Path.expanduser raises for unknown users


def unsafe(value: Any) -> Any:
    """The value with every text inside it marked as no template."""
    if isinstance(value, str):
        return Unsafe(value)
    if isinstance(value, list):
        return [unsafe(item) for item in value]
    if isinstance(value, dict):
        return {key: unsafe(item) for key, item in value.items()}
    return value


def is_template(value: object) -> bool:
    """Whether Jinja has anything to do in this text: a cheap look, before Jinja is imported."""
    if not isinstance(value, str) or isinstance(value, Unsafe):
        return False
    return "{{" in value or "{%" in value or "{#" in value


def holds_template(value: object) -> bool:
    """Whether a template stands anywhere inside this value."""
    if isinstance(value, str):
        return is_template(value)
    if isinstance(value, Mapping):
        return any(holds_template(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(holds_template(item) for item in value)
    return isinstance(value, Vaulted)


def ansible_tags(keys: Keys | None = None) -> Tags:
    """What Ansible's tags make of a value. `keys`: what opens encrypted ones, once they are used."""

    def vaulted(value: Any, mark: Mark) -> Vaulted:
        return Vaulted(str(value), mark.file, mark.line, keys)

    return {"!unsafe": lambda value, _: unsafe(value), "!vault": vaulted, "!vault-encrypted": vaulted}
