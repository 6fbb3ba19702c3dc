"""What Ansible's YAML tags make of a value, and whether a text is a template: known without importing Jinja."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from shipyard.base.record import Struct
from shipyard.files.yamldoc import Tags


class Unsafe(str):
    """A text that is never a template, whatever it holds (`!unsafe`)."""

    __slots__ = ()


class Vaulted(Struct, frozen=True):
    """An encrypted value (`!vault`) that was not opened; using it is an error, carrying it along is not."""

    ciphertext: str


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


def _vaulted(value: Any) -> Vaulted:
    return Vaulted(str(value))


ANSIBLE_TAGS: Tags = MappingProxyType({"!unsafe": unsafe, "!vault": _vaulted, "!vault-encrypted": _vaulted})
