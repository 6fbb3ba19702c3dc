"""The nodes are called before most of shipyard is there: connecting takes as long as importing, so both go on at once.

This imports little. What it finds wrong it leaves to whoever comes after to find again, and to say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shipyard.base.errors import ConfigError
from shipyard.base.record import Struct, replace
from shipyard.base.trust import Trust
from shipyard.files.ansiblevault import Ask, Keys
from shipyard.files.config import Settings
from shipyard.files.inventory import connection_of
from shipyard.files.inventory import load as load_inventory
from shipyard.model.inventory import Connection, Inventory
from shipyard.reconcile.trust import trust_of
from shipyard.store.glance import Glance, glance
from shipyard.transport.fleet import Fleet, SshOptions

if TYPE_CHECKING:  # by then the nodes have been called
    from shipyard.reconcile.beforehand import Beforehand


class Opening(Struct, frozen=True):
    """What is known of a command's surroundings before the store is open.

    `playbook_dirs`: variables beside the playbooks count too. `connections`: of the nodes that `fleet` connects to.
    `keys`: of what ansible-vault encrypted. `beforehand`: what nodes are asked already.
    """

    inventory: Inventory
    playbook_dirs: tuple[Path, ...]
    options: SshOptions
    connections: Mapping[str, Connection]
    fleet: Fleet
    keys: Keys
    beforehand: Beforehand | None = None

    @property
    def trusted(self) -> Trust:
        """Which of the project's own programs may run."""
        return self.options.trusted


def vault_keys(settings: Settings, environ: Mapping[str, str] | None, *, trusted: Trust, ask: Ask | None) -> Keys:
    """What opens what ansible-vault encrypted, by the passwords that the settings name."""
    known = os.environ if environ is None else environ
    told = {name: said for name, said in known.items() if name != settings.secrets.variable}  # no key of secrets
    return Keys(settings.vault, environ=told, root=settings.root, trusted=trusted, ask=ask)


def read_inventory(settings: Settings, playbook_dirs: Sequence[Path], *, trusted: Trust, keys: Keys) -> Inventory:
    """The inventory that the settings name. Raises FileError."""
    found = load_inventory(
        settings.inventory, cwd=settings.root, playbook_dirs=playbook_dirs, trusted=trusted, keys=keys
    )
    return replace(found, connect_timeout=settings.timeouts.connect)


def begin(
    settings: Settings,
    *,
    playbooks: Sequence[str] = (),
    passphrase: Callable[[str], str | None] | None = None,
    environ: Mapping[str, str] | None = None,
    call: bool = False,
    ask: bool = False,
) -> Opening:
    """Read the inventory. `call`: begin to connect to those of its hosts that the store knows as nodes.

    `ask`: and to ask them what a pass that finds nothing to do asks.

    `passphrase`: asks a person for that of a key file, or of a vault; None where there is no terminal. `environ`: what
    programs that tell vault passwords are given.
    """
    if not settings.inventory:
        raise ConfigError(
            "there is no inventory", hint="say where it is with -i, or make a project with `shipyard init`"
        )
    folders = tuple(sorted({(settings.root / Path(name)).absolute().parent for name in playbooks}))
    options = SshOptions(trusted=trust_of(settings.root), passphrase=passphrase)
    keys = vault_keys(settings, environ, trusted=options.trusted, ask=passphrase)
    inventory = read_inventory(settings, folders, trusted=options.trusted, keys=keys)
    hosts = {host.name: host for host in inventory.hosts} if call else {}
    known = glance(settings.database) if call else Glance()
    connections = {name: connection_of(inventory, hosts[name]) for name in known.nodes if name in hosts}
    fleet = Fleet(connections, forks=settings.forks, options=options)
    fleet.call(connections)
    beforehand = None
    if ask and connections:
        from shipyard.reconcile import beforehand as asking

        beforehand = asking.ask(fleet, known, connections, settings.timeouts.observe)
    return Opening(inventory, folders, options, connections, fleet, keys, beforehand)
