"""What Compose files come to, written as one playbook or as one Compose file that gives the same desired state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from shipyard.files.values import Unsafe

_BARE = re.compile(r"[A-Za-z_/][A-Za-z0-9_/-]*(?:\.[A-Za-z0-9_/-]+)*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


class _Dumper(yaml.SafeDumper):
    """Texts that a reader of YAML might take for something else are quoted; numbers are as they were written."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    said = str(data)
    if isinstance(data, Unsafe):
        return dumper.represent_scalar("!unsafe", said, style='"')
    bare = _BARE.fullmatch(said) is not None and said.lower() not in _WORDS
    style = None if bare else "|" if "\n" in said and said.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", said, style=style)


def _number(dumper: yaml.SafeDumper, data: float) -> yaml.ScalarNode:
    if isinstance(data, bool):
        return dumper.represent_bool(data)
    kind = "int" if isinstance(data, int) else "float"
    said = getattr(data, "written", None) or repr(data)
    return dumper.represent_scalar(f"tag:yaml.org,2002:{kind}", said)


_Dumper.add_multi_representer(str, _text)
_Dumper.add_representer(str, _text)
for _kind in (int, float, bool):
    _Dumper.add_multi_representer(_kind, _number)
    _Dumper.add_representer(_kind, _number)


def playbook(stack: str, hosts: str, data: Mapping[str, Any], lost: Iterable[str]) -> str:
    """One play. `lost`: what people should know, put above it as comments."""
    return plays({stack: data}, hosts, lost)


def plays(stacks: Mapping[str, Mapping[str, Any]], hosts: str, lost: Iterable[str]) -> str:
    """A play for each stack, of its name and what it declares."""
    bodies = [{"hosts": hosts, "stack": stack, **_sections(data)} for stack, data in stacks.items()]
    return _comments(lost) + _dumped(bodies)


def compose(stack: str, data: Mapping[str, Any], lost: Iterable[str]) -> str:
    """One Compose file, nothing in it left to interpolate."""
    return _comments(lost) + _dumped(composed(stack, data))


def composed(stack: str, data: Mapping[str, Any]) -> Any:
    """The same as plain data."""
    return {"name": stack, **{key: _escaped(value) for key, value in _sections(data).items()}}


def _sections(data: Mapping[str, Any]) -> dict[str, Any]:
    """Without extensions, which were for anchors, and what is empty."""
    return {key: value for key, value in data.items() if key != "name" and not key.startswith("x-") and value}


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return str(value).replace("$", "$$") if isinstance(value, str) else value


def _comments(lines: Iterable[str]) -> str:
    return "".join(f"# {' '.join(line.split())}\n" for line in lines)


def _dumped(data: Any) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=False)
