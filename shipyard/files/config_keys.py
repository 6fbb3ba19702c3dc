"""The settings there are: one table that the reader of shipyard.toml, the environment and the documentation share."""

from __future__ import annotations

import shlex
from typing import Any, Literal

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct
from shipyard.base.text import one_line

Kind = Literal["words", "commas", "text", "argv", "count", "seconds", "share"]
Value = str | int | float | tuple[str, ...] | None


class Key(Struct, frozen=True):
    """One setting. `name`: as in shipyard.toml, dotted for a table. `least`: the smallest number that makes sense.

    `ansibles`: the variable by which Ansible sets the same, which counts too.
    """

    name: str
    kind: Kind
    default: Value
    help: str
    least: float = 0
    ansibles: str = ""

    @property
    def variable(self) -> str:
        """`SHIPYARD_TIMEOUTS_CONVERGE`: the environment variable that sets it."""
        return "SHIPYARD_" + self.name.replace(".", "_").upper()


KEYS: tuple[Key, ...] = (
    Key("cluster", "text", None, "the cluster's id, on every label; the store keeps it too"),
    Key("inventory", "words", (), "inventory files and folders (inventory/ beside the configuration)"),
    Key("database", "text", None, "URL of the store (.shipyard/state.db beside the configuration)"),
    Key("forks", "count", 50, "how many nodes are talked to at the same time", least=1),
    Key("timeouts.connect", "seconds", 10.0, "until a connection is given up, unless the inventory says", least=1),
    Key("timeouts.observe", "seconds", 30.0, "for a node to say all that runs on it", least=1),
    Key("timeouts.pull", "seconds", 1800.0, "for a node to pull one image", least=1),
    Key("timeouts.converge", "seconds", 600.0, "for apply and reconcile as a whole (--timeout)"),
    Key("timing.unreachable_after", "seconds", 40.0, "of silence (and two misses) makes a node unreachable"),
    Key("timing.lost_after", "seconds", 300.0, "more of it makes it lost: what ran there is started elsewhere"),
    Key("timing.miss_gap", "seconds", 120.0, "misses further apart than this do not add up", least=1),
    Key("timing.backoff", "seconds", 10.0, "before the first retry of what failed; doubles each time"),
    Key("timing.backoff_max", "seconds", 300.0, "the longest time between retries"),
    Key("timing.backoff_reset", "seconds", 600.0, "of running makes earlier failures forgotten"),
    Key("timing.brake", "share", 0.55, "when this share of the nodes falls silent at once, nothing is moved"),
    Key("timing.move_share", "share", 0.05, "of the nodes (one at least): lost ones whose work moves in five minutes"),
    Key("network.containers", "text", "10.208.0.0/12", "addresses of containers on networks across nodes"),
    Key("network.containers6", "text", "fd6e:3a94:51c2::/48", "the same of IPv6, where a network has enable_ipv6"),
    Key("network.services", "text", "10.224.0.0/16", "stable addresses of services on them"),
    Key("network.block", "count", 26, "length of the block that each network has on each node", least=8),
    Key("network.vxlan_port", "count", 4789, "UDP port of the nodes for networks across them", least=1),
    Key("network.wireguard_port", "count", 51820, "UDP port of the nodes for encrypted networks", least=1),
    Key("secrets.key_file", "text", None, "holds the key of secrets (secrets.key beside the store; mode 0600)"),
    Key("secrets.key_variable", "text", "SHIPYARD_SECRETS_KEY", "the environment variable that may hold that key"),
    Key("secrets.key_command", "argv", (), "a program and its arguments that print it, in a trusted project"),
    Key(
        "fence", "argv", (), "a program and its arguments that switches {node} off (at {address}), in a trusted project"
    ),
    Key(
        "vault.identities",
        "commas",
        (),
        "LABEL@FILE, or LABEL@prompt: passwords of ansible-vault",
        ansibles="ANSIBLE_VAULT_IDENTITY_LIST",
    ),
    Key(
        "vault.password_file",
        "text",
        None,
        "holds, or in a trusted project prints, the password of ansible-vault",
        ansibles="ANSIBLE_VAULT_PASSWORD_FILE",
    ),
    Key("retention.revisions", "count", 10, "revisions kept of each stack, the current one included", least=1),
    Key("retention.passes", "count", 1000, "passes kept, with their actions", least=1),
    Key("retention.events", "count", 10_000, "events kept, none of them for longer than 30 days", least=1),
)
BY_NAME = {key.name: key for key in KEYS}
TABLES = tuple(sorted({key.name.split(".")[0] for key in KEYS if "." in key.name}))


def checked(key: Key, value: Any, where: str) -> Value:
    """A value from TOML, of the key's kind."""
    if key.kind == "text" and isinstance(value, str) and value:
        return value
    if key.kind == "argv" and isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return tuple(value)
    if key.kind in ("words", "commas"):
        words = [value] if isinstance(value, str) else value
        if isinstance(words, list) and all(isinstance(word, str) and word for word in words):
            return tuple(words)
    if key.kind in ("count", "seconds", "share") and isinstance(value, int | float) and not isinstance(value, bool):
        return number(key, value, where)
    expected = {
        "text": "a text",
        "words": "a list of texts",
        "commas": "a list of texts",
        "argv": "a list of texts, a program and its arguments",
        "count": "a whole number",
        "seconds": "a number of seconds",
        "share": "a number from 0 to 1",
    }[key.kind]
    raise ConfigError(f"{where}: expected {expected}, found {shown(value)}")


def number(key: Key, value: float, where: str) -> int | float:
    """A number within the key's bounds. `where`: the file and key, variable or option, for the message."""
    if key.kind == "count" and not isinstance(value, int):
        raise ConfigError(f"{where}: expected a whole number, found {value}")
    most = 1.0 if key.kind == "share" else 1e9
    if not key.least <= value <= most:
        raise ConfigError(f"{where}: {value} is out of range; it must be from {key.least:g} to {most:g}")
    return value if key.kind == "count" else float(value)


def parsed(key: Key, text: str) -> Value:
    """A value from the environment. Several inventories are joined by `:`; a text with a comma is one host list."""
    if key.kind == "text":
        return text
    if key.kind == "words":
        return (text,) if "," in text else tuple(word for word in text.split(":") if word)
    if key.kind == "commas":
        return tuple(word.strip() for word in text.split(",") if word.strip())
    if key.kind == "argv":
        try:
            return tuple(shlex.split(text))
        except ValueError as error:
            raise ConfigError(f"${key.variable}: can't be split into words: {error}") from error
    try:
        value = int(text) if key.kind == "count" else float(text)
    except ValueError as error:
        raise ConfigError(f"${key.variable}: expected a number, found {shown(text)}") from error
    return number(key, value, f"${key.variable}")


def shown(value: Any) -> str:
    """A value in a message: short, and safe to print."""
    return one_line(repr(value), 60)
