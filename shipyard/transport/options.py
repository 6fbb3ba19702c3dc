"""What all connections of one process share: whose files are read, whom to ask, what may be run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from shipyard.base.trust import NOTHING, Trust

SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
SYSTEM_KNOWN_HOSTS = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How this process connects, whatever the node.

    `trusted`: which programs that the project's own files name may run (ProxyCommand in ansible_ssh_common_args, `Match
    exec` in a file given by `-F`); what the user's and the system's ssh_config name always may.
    `passphrase`: asks a person for the passphrase of a key file and returns None when there is no answer; leave it
    out where there is no terminal. It is called by one thread at a time.
    `home`: whose `.ssh` is read. `starts`: connections being opened to one address at once; sshd begins to refuse at
    ten that have not logged in yet (MaxStartups 10:30:100), and others may be logging in too.
    """

    trusted: Trust = NOTHING
    passphrase: Callable[[str], str | None] | None = field(default=None, compare=False)
    home: Path = field(default_factory=Path.home)
    system_config: Path = SYSTEM_CONFIG
    starts: int = 8

    @property
    def user_config(self) -> Path:
        """The user's own ssh_config."""
        return self.home / ".ssh" / "config"
