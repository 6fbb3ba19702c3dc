"""Everything about reaching one sshd, after inventory, arguments and ssh_config are put together."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from enum import StrEnum


class Checking(StrEnum):
    """StrictHostKeyChecking: `ask` is `yes` here, since a pass has nobody to ask."""

    YES = "yes"
    ACCEPT_NEW = "accept-new"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Target:
    """One sshd. Equal targets share a connection where they are jump hosts.

    `known_as`: the name to look for in known_hosts, with the port where it is not 22. `known_hosts`: those files;
    `record_in`: the one that takes new keys, by hashed names where `hashed`. `revoked`: a file of keys that no host may
    show. `identities`: key files to offer, in order; `default_identities`: they are only those that every user may
    have. `certificates`: files that somebody named; where there are none, each key's own (`KEY-cert.pub`) is tried.
    `agent`: socket of the agent, None without one. `via`: the jump host. `bind`: the address of
    this machine from which to connect.
    """

    host: str
    port: int
    user: str
    known_as: str
    known_hosts: tuple[str, ...]
    record_in: str | None = None
    hashed: bool = False
    revoked: str | None = None
    checking: Checking = Checking.YES
    password: str | None = field(default=None, repr=False)
    identities: tuple[str, ...] = ()
    default_identities: bool = False
    certificates: tuple[str, ...] = ()
    identities_only: bool = False
    agent: str | None = None
    via: Target | None = None
    proxy_command: str | None = None
    timeout: float = 10.0
    family: int = int(socket.AF_UNSPEC)
    bind: str | None = None

    @property
    def shown(self) -> str:
        """`user@host:port`, the port only where it is not 22."""
        return f"{self.user}@{self.host}" if self.port == 22 else f"{self.user}@{self.host}:{self.port}"


def known_name(host: str, port: int, alias: str | None) -> str:
    """As known_hosts spells it: lower case, `[host]:port` where the port is not 22; an alias stands as it is."""
    if alias:
        return alias.lower()
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"
