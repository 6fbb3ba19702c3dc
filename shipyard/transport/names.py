"""The words of ssh_config's values: tokens, variables, names of hosts and users, ports, jump hosts."""

from __future__ import annotations

import os
import pwd
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote_plus

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct
from shipyard.base.text import one_line

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.:%@-]+")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*")


class Jump(Struct, frozen=True):
    """`[user@]host[:port]`."""

    host: str
    user: str | None = None
    port: int | None = None


def expand(text: str, tokens: Mapping[str, str], *, variables: bool = False) -> str:
    """`%x`, and `${NAME}` where `variables`; what they stand for is not looked at again. Raises ValueError."""
    done, index = "", 0
    while index < len(text):
        if variables and text.startswith("${", index):
            name, index = _variable(text, index)
            done += os.environ[name]
            continue
        if text[index] == "%":
            token = text[index : index + 2]
            if token[1:] not in tokens and token != "%%":
                raise ValueError(f"`{token}` in `{one_line(text)}` is not understood")
            done += tokens.get(token[1:], "%")
            index += 2
            continue
        done += text[index]
        index += 1
    return done


def _variable(text: str, index: int) -> tuple[str, int]:
    """The name of a variable that is set, and where its `}` is over. Raises ValueError."""
    name, closed, _ = text[index + 2 :].partition("}")
    if not closed or not name:
        raise ValueError(f"`{one_line(text)}`: `${{` without a name and a `}}`")
    if name not in os.environ:
        raise ValueError(f"`{one_line(text)}`: the variable {name} is not set")
    return name, index + 2 + len(name) + 1


def env_words(text: str) -> None:
    """Raises ValueError where a `${NAME}` is not set."""
    for found in re.finditer(r"\$\{", text):
        _variable(text, found.start())


def tilde(text: str, home: Path) -> str:
    """`~`, `~/x`, `~user/x` at the beginning. Raises ValueError for a user that does not exist."""
    if not text.startswith("~"):
        return text
    user, _, rest = text[1:].partition("/")
    try:
        folder = pwd.getpwnam(user).pw_dir if user else str(home)
    except KeyError:
        raise ValueError(f"`{one_line(text)}`: there is no user {user}") from None
    return folder.removesuffix("/") + "/" + rest.lstrip("/")


def path(text: str, tokens: Mapping[str, str], home: Path) -> str:
    """A file's name, with all that may stand for something in it. Raises ValueError."""
    return expand(tilde(text, home), tokens, variables=True)


def address(host: str, family: int) -> str:
    """A host in lower case, an address as the system writes it: `127.1` is `127.0.0.1`."""
    if not (host[:1].isdigit() or ":" in host or "%" in host):
        return host.lower()
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        found = socket.getaddrinfo(host, "22", socket.AddressFamily(family), socket.SOCK_STREAM, 0, numeric)
        if len(found) == 1:
            known, _ = socket.getnameinfo(found[0][4], socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
            return host if known.lower() == host.lower() else known
    except (OSError, UnicodeError):
        pass
    return host if ":" in host or "%" in host or not host.strip("0123456789.") else host.lower()


def split_jumps(line: str) -> tuple[Jump, ...]:
    """ProxyJump's value: several with commas, the last is the nearest to the node. Raises ValueError."""
    text = line.partition("#")[0].rstrip(" \t\r\n")
    return () if line.lower() == "none" else tuple(map(_jump, text.split(",")))


def _jump(text: str) -> Jump:
    """`[user@]host[:port]` or `ssh://…`."""
    wrong = ValueError(f"`{one_line(text)}` is not [user@]host[:port]")
    uri = text.startswith("ssh://")
    if uri:
        user, at, place = text[6:].partition("@")
        user = unquote_plus(user.partition(";")[0])
        if not at:
            user, place = "", text[6:]
    else:
        user, at, place = text.rpartition("@")
    if place.startswith("["):
        host, closed, rest = place[1:].partition("]")
        if not closed or (rest and rest[0] not in ":/"):
            raise wrong
        rest = rest[1:]
    else:
        end = re.search("[:/]", place)
        host, rest = (place[: end.start()], place[end.end() :]) if end else (place, "")
    if uri:
        rest = rest.rstrip("/")
    if not host or (at and not user) or (uri and not _DOMAIN.fullmatch(host)):
        raise wrong
    try:
        return Jump(host, user if at else None, port(rest) if rest else None)
    except ValueError:
        raise wrong from None


def port(said: str) -> int:
    """A number, or the name of a service. Raises ValueError."""
    if re.fullmatch(r"\s*[+-]?[0-9]+", said):
        number = int(said)
        if 0 < number < 65536:
            return number
    else:
        try:
            return socket.getservbyname(said, "tcp")
        except (OSError, UnicodeError):
            pass
    raise ValueError(f"`{one_line(said)}` is no port")


def check_name(what: str, name: str) -> None:
    """Names reach argument lists and, in a ProxyCommand, a shell."""
    if name.startswith("-") or not _PLAIN_NAME.fullmatch(name):
        raise ConfigError(f"`{one_line(name)}` can't be the name of a {what}")
