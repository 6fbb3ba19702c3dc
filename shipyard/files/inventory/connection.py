"""How a host is reached and what shipyard is told of it, from its `ansible_*` and `shipyard_*` variables.

The variables may be templates, which are evaluated for the host. Where several spellings of one variable are set,
the last of those listed here wins, as in Ansible.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from shipyard.base.errors import FileError
from shipyard.base.record import Struct
from shipyard.base.text import printable
from shipyard.files.values import Vaulted, holds_template, user_path
from shipyard.model.inventory import Become, Connection, Host, Inventory

SSH = ("ssh", "smart", "paramiko", "paramiko_ssh")
RUNTIMES = ("docker", "podman", "nerdctl")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_DEVICE = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?")
_TRUE = ("y", "yes", "on", "1", "true", "t", "1.0")
_FALSE = ("n", "no", "off", "0", "false", "f", "0.0")


class NodeSettings(Struct, frozen=True):
    """What the inventory says of a node. `taints`: (key, value, effect), in the order written; no value is "".

    `devices`: how many of each kind, sorted.
    """

    labels: tuple[tuple[str, str], ...] = ()
    runtime: str | None = None
    taints: tuple[tuple[str, str, str], ...] = ()
    devices: tuple[tuple[str, int], ...] = ()


def connection_of(inventory: Inventory, host: Host) -> Connection:
    """How this host is reached. Raises FileError for what can't be understood, naming host and variable."""
    read = _Variables(inventory, host)
    kind = (read.text("ansible_connection") or "ssh").removeprefix("ansible.builtin.")
    if kind not in (*SSH, "local"):
        raise read.error("ansible_connection", f"{kind!r} can't be used here; ssh and local can")
    key_file = read.text("ansible_private_key_file", "ansible_ssh_private_key_file")
    timeout = read.number("ansible_ssh_timeout")
    return Connection(
        kind="local" if kind == "local" else "ssh",
        address=read.word("ansible_host", "ansible_ssh_host") or host.name,
        port=read.port("ansible_port", "ansible_ssh_port"),
        user=read.word("ansible_user", "ansible_ssh_user"),
        password=read.text("ansible_password", "ansible_ssh_pass", "ansible_ssh_password"),
        key_file=None if key_file is None else _absolute(key_file),
        common_args=(
            *read.words("ansible_ssh_args"),
            *read.words("ansible_ssh_common_args"),
            *read.words("ansible_ssh_extra_args"),
        ),
        timeout=inventory.connect_timeout if timeout is None else timeout,
        host_key_checking=read.flag("ansible_host_key_checking", "ansible_ssh_host_key_checking"),
        become=_become(read),
    )


def node_settings(inventory: Inventory, host: Host) -> NodeSettings:
    """`shipyard_labels`, `_runtime`, `_taints` and `_devices` of this host. Raises FileError."""
    read = _Variables(inventory, host)
    runtime = read.text("shipyard_runtime")
    if runtime is not None and runtime not in RUNTIMES:
        raise read.error("shipyard_runtime", f"{runtime!r} is none of {', '.join(RUNTIMES)}")
    taints = read.value("shipyard_taints")
    if taints is not None and not isinstance(taints, list):
        raise read.error("shipyard_taints", "is a list of texts like key=value:NoSchedule")
    return NodeSettings(_labels(read), runtime, tuple(_taint(read, taint) for taint in taints or []), _devices(read))


def _become(read: _Variables) -> Become | None:
    if not read.flag("ansible_become"):
        return None
    method = (read.text("ansible_become_method") or "sudo").removeprefix("ansible.builtin.")
    if method != "sudo":
        raise read.error("ansible_become_method", f"{method!r} can't be used here; sudo can")
    user = read.word("ansible_become_user", "ansible_sudo_user") or "root"
    return Become(user, read.text("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"))


def _labels(read: _Variables) -> tuple[tuple[str, str], ...]:
    labels = read.value("shipyard_labels")
    if labels is None:
        return ()
    if not isinstance(labels, dict):
        raise read.error("shipyard_labels", "is a mapping of label names to values")
    for name, value in labels.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float):
            raise read.error("shipyard_labels", f"the label {name!r} is no name with one value")
    return tuple(sorted((name, _label_value(value)) for name, value in labels.items()))


def _devices(read: _Variables) -> tuple[tuple[str, int], ...]:
    devices = read.value("shipyard_devices")
    if devices is None:
        return ()
    if not isinstance(devices, dict):
        raise read.error("shipyard_devices", "is a mapping of kinds to how many there are, such as {gpu: 2}")
    for kind, count in devices.items():
        number = int(count) if isinstance(count, str) and count.isascii() and count.isdigit() else count
        if not isinstance(kind, str) or not _DEVICE.fullmatch(kind) or isinstance(number, bool):
            raise read.error("shipyard_devices", f"{kind!r} is no kind of device, such as gpu or nvidia/gpu")
        if not isinstance(number, int) or not 0 <= number < 10_000:
            raise read.error("shipyard_devices", f"there can't be {count!r} of {kind}: a whole number from 0 on")
    return tuple(sorted((kind, int(count)) for kind, count in devices.items()))


def _label_value(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _taint(read: _Variables, taint: Any) -> tuple[str, str, str]:
    head, _, effect = taint.rpartition(":") if isinstance(taint, str) else ("", "", "")
    key, _, value = head.partition("=")
    if not key or effect not in EFFECTS:
        raise read.error("shipyard_taints", f"{taint!r} is not like key=value:NoSchedule ({', '.join(EFFECTS)})")
    return key, value, effect


def _absolute(key_file: str) -> str:
    """As ssh reads it: `~` is the home, relative paths start here; what begins with a token is left to be expanded."""
    return key_file if key_file.startswith("%") else os.path.abspath(user_path(key_file))  # noqa: PTH100  # without following links


class _Variables:
    """One host's variables, rendered where they are templates, and read as the kinds of value they should be."""

    def __init__(self, inventory: Inventory, host: Host) -> None:
        self._inventory, self._host = inventory, host
        self._namespace: Mapping[str, Any] | None = None

    def error(self, name: str, message: str) -> FileError:
        sources = ", ".join(self._inventory.sources) or "inventory"
        if self._tells(name, message):
            message = "what is encrypted there can't be used: it is of another kind than it should be"
        return FileError(printable(message), file=sources, key=f"{self._host.name}.{name}")

    def _tells(self, name: str, message: str) -> bool:
        """Whether a message would say what was encrypted: the variable itself, or what its template is made of."""
        raw = self._host.vars.get(name)
        if isinstance(raw, Vaulted) or not holds_template(raw):
            return isinstance(raw, Vaulted)
        known = (value.opened for value in self._host.vars.values() if isinstance(value, Vaulted))
        return any(text and text in message for text in known)

    def value(self, *names: str) -> Any:
        """The last of these that is set, rendered."""
        name = self._set(names)
        if name is None:
            return None
        raw = self._host.vars[name]
        if isinstance(raw, Vaulted):
            return self._opened(raw, name)
        if isinstance(raw, str) and not holds_template(raw):
            return str(raw)
        if not holds_template(raw):
            return raw
        from shipyard.files.jinja import Place, host_variables, render

        if self._namespace is None:
            self._namespace = host_variables(self._inventory, self._host)
        where = Place(", ".join(self._inventory.sources) or "inventory", key=f"{self._host.name}.{name}")
        return render(raw, self._namespace, where=where)

    def _opened(self, raw: Vaulted, name: str) -> str:
        try:
            return str(raw.open())
        except FileError as error:
            needed = f"{self._host.name}.{name}"
            raise FileError(error.message, file=error.file, line=error.line, key=needed, hint=error.hint) from None

    def text(self, *names: str) -> str | None:
        value = self.value(*names)
        if isinstance(value, dict | list):
            raise self.error(str(self._set(names)), f"is a text, not a {type(value).__name__}")
        return None if value in (None, "") else str(value)

    def word(self, *names: str) -> str | None:
        """A text that ends up where programs look for options: it can't begin with `-` or hold odd characters."""
        text = self.text(*names)
        if text is not None and (text.startswith("-") or not text.isprintable() or " " in text):
            raise self.error(str(self._set(names)), f"{text!r} begins with '-' or holds blanks or control characters")
        return text

    def words(self, name: str) -> list[str]:
        try:
            return shlex.split(self.text(name) or "")
        except ValueError as error:
            raise self.error(name, f"can't be split into words: {str(error).lower()}") from None

    def number(self, *names: str) -> float | None:
        text = self.text(*names)
        try:
            number = None if text is None else float(text)
        except ValueError:
            number = -1.0
        if number is not None and not 0 < number < 86_400:
            raise self.error(str(self._set(names)), f"{text!r} is no number of seconds above 0")
        return number

    def port(self, *names: str) -> int | None:
        text = self.text(*names)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65_536):
            raise self.error(str(self._set(names)), f"{text!r} is no port (1 to 65535)")
        return int(text)

    def flag(self, *names: str) -> bool | None:
        text = self.text(*names)
        if text is None:
            return None
        word = text.lower()
        if word not in (*_TRUE, *_FALSE):
            raise self.error(str(self._set(names)), f"{text!r} is neither yes nor no")
        return word in _TRUE

    def _set(self, names: tuple[str, ...]) -> str | None:
        return next((name for name in reversed(names) if self._host.vars.get(name) is not None), None)
