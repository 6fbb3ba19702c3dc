"""The words of ssh_config's values: tokens, names of hosts and users, ports."""

from __future__ import annotations

import os
import re
from pathlib import Path

from shipyard.base.errors import ConfigError
from shipyard.base.text import one_line

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.:%@-]+")


def expand(text: str, tokens: dict[str, str], home: Path | None = None) -> str:
    """`%x` tokens, and for files (`home` given) a leading `~/` and `${NAME}`."""
    if home is not None:
        if text.startswith("~/"):
            text = str(home / text[2:])
        text = re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), text)

    def token(found: re.Match[str]) -> str:
        if found[1] not in tokens:
            raise ConfigError(f"ssh_config: `{found[0]}` in `{text}` is not understood")
        return tokens[found[1]]

    return re.sub(r"%(.)", token, text) if tokens else text


def real_name(said: str | None, alias: str) -> str:
    """HostName knows `%h` only; any other `%` is the scope of an IPv6 address."""
    return (said or alias).replace("%%", "%").replace("%h", alias).strip("[]")


def jump(text: str) -> tuple[str | None, str, int | None]:
    """`[user@]host[:port]` or `ssh://…`."""
    user, at, place = text.strip().removeprefix("ssh://").rstrip("/").rpartition("@")
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = place.partition(":")
    if not host or (port and not port.isdigit()):
        raise ConfigError(f"ProxyJump: `{text}` is not [user@]host[:port]")
    check_name("host", host)
    return (user if at else None), host, (int(port) if port else None)


def port_number(said: int | str | None) -> int:
    """22 where nothing is said."""
    try:
        port = 22 if said is None else int(said)
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        raise ConfigError(f"`{said}` is no port")
    return port


def check_name(what: str, name: str) -> None:
    """Names reach argument lists and, in a ProxyCommand, a shell."""
    if name.startswith("-") or not _PLAIN_NAME.fullmatch(name):
        raise ConfigError(f"`{one_line(name)}` can't be the name of a {what}")
