"""Executable inventories: programs that print groups and hosts as JSON. They run only in trusted folders."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from shipyard.base.errors import FileError
from shipyard.base.text import tail
from shipyard.files.ansiblevault import Keys
from shipyard.files.inventory.draft import Draft
from shipyard.files.inventory.hostnames import BadNameError
from shipyard.files.inventory.structured import from_json

TIMEOUT = 120.0
"""Seconds that one call may take."""
MAX_OUTPUT = 64 * 1024 * 1024


def read(path: Path, file: str, draft: Draft, keys: Keys) -> None:
    """Run the script and read what it says into the draft. Raises FileError."""
    answer = _run(path, file, keys, "--list")
    if not isinstance(answer, dict):
        raise FileError("printed no JSON object of groups", file=file)
    meta = answer.pop("_meta", None)
    try:
        hosts = [host for name, body in answer.items() for host in _group(name, body, draft)]
        hostvars = _hostvars(meta)
        for host in dict.fromkeys(hosts):
            known = hostvars.get(host, {}) if hostvars is not None else _run(path, file, keys, "--host", host)
            _set_vars(draft, host, known)
    except BadNameError as error:
        raise FileError(f"printed an inventory that can't be used: {error}", file=file) from None


def _set_vars(draft: Draft, name: str, variables: Any) -> None:
    if not isinstance(variables, dict):
        raise BadNameError(f"the variables of {name!r} are no object")
    for key, value in variables.items():
        draft.set_var(name, key, value)


def _hostvars(meta: Any) -> dict[str, Any] | None:
    """`_meta.hostvars`, which makes calls with --host needless; None where there is no `_meta`."""
    if meta is None:
        return None
    hostvars = meta.get("hostvars") if isinstance(meta, dict) else None
    if not isinstance(hostvars, dict):
        raise BadNameError("_meta.hostvars is no object")
    return hostvars


def _group(name: str, body: Any, draft: Draft) -> list[str]:
    """Add one group; returns the hosts it names. A bare list is its hosts; any other object is one host's variables."""
    draft.add_group(name)
    if not isinstance(body, dict):
        body = {"hosts": body}
    elif not body.keys() & {"hosts", "vars", "children"}:
        body = {"hosts": [name], "vars": body}
    hosts = body.get("hosts", [])
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise BadNameError(f"the hosts of {name!r} are no list of names")
    for host in hosts:
        draft.add_host(host, name)
    _set_vars(draft, name, body.get("vars", {}))
    for child in body.get("children") or []:
        draft.add_child(name, draft.add_group(child))
    return hosts


def _run(path: Path, file: str, keys: Keys, *options: str) -> Any:
    command = " ".join((file, *options))
    try:
        done = subprocess.run(
            [path, *options], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise FileError(f"{command} did not end within {TIMEOUT:.0f} seconds", file=file) from None
    except OSError as error:
        raise FileError(f"can't be executed: {error.strerror}", file=file) from None
    if done.returncode != 0:
        said = tail(done.stderr.decode("utf-8", "replace"))
        raise FileError(f"{command} ended with status {done.returncode}: {said or 'it said nothing'}", file=file)
    if len(done.stdout) > MAX_OUTPUT:
        raise FileError(f"printed more than {MAX_OUTPUT // 2**20} MiB", file=file)
    if options[0] == "--host" and not done.stdout.strip():
        return {}
    try:
        return from_json(done.stdout, file, keys, twice=True)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{command} printed no JSON: {error}", file=file) from None
