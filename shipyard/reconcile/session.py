"""What a command works with: settings, inventory, store and the connections to the nodes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from shipyard.base import clock
from shipyard.base.errors import ConfigError
from shipyard.files.config import Settings
from shipyard.files.inventory import load as load_inventory
from shipyard.files.patterns import match
from shipyard.files.registries import Credentials
from shipyard.model.inventory import Inventory
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import Revision
from shipyard.reconcile.membership import Membership, members
from shipyard.store.store import Store
from shipyard.transport.fleet import Fleet, SshOptions


@dataclass(slots=True)
class Session:
    """Open for one command. `confirmed`: what a terminal would be asked was answered with yes."""

    settings: Settings
    inventory: Inventory
    store: Store
    confirmed: bool = False
    playbook_dirs: tuple[Path, ...] = ()
    trusted: bool = False
    options: SshOptions = field(default_factory=SshOptions)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    _fleet: Fleet | None = None
    _known: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        playbook_dirs: Iterable[Path] = (),
        create: bool = False,
        trusted: bool = False,
        options: SshOptions | None = None,
    ) -> Session:
        """Read the inventory, open the store. `create`: make the store where there is none (apply does)."""
        if not settings.inventory:
            raise ConfigError(
                "there is no inventory",
                hint="say where it is with -i, or make a project with `shipyard init`",
            )
        folders = tuple(playbook_dirs)
        inventory = load_inventory(settings.inventory, cwd=settings.root, playbook_dirs=folders, trusted=trusted)
        store = Store.open(settings.database, create=create, cluster=settings.cluster)
        return cls(settings, inventory, store, settings.yes, folders, trusted, options or SshOptions())

    def reload_inventory(self) -> None:
        """Read the inventory again."""
        self.inventory = load_inventory(
            self.settings.inventory, cwd=self.settings.root, playbook_dirs=self.playbook_dirs, trusted=self.trusted
        )

    @property
    def cluster_chosen(self) -> bool:
        """Whether the cluster's id was written down (shipyard.toml), and not made up with a new store."""
        return self.settings.cluster is not None

    def now(self) -> float:
        """Unix seconds; never earlier than anything recorded."""
        return self.store.now(clock.now())

    def membership(self, extra_patterns: Iterable[str] = ()) -> Membership:
        """The nodes as the inventory, the stacks and the store have them now."""
        patterns = {service.pattern for head in self.store.heads() for service in head.revision.spec.services}
        stored = self.store.nodes()
        return members(self.inventory, stored, sorted({*patterns, *extra_patterns}), confirmed=self.confirmed)

    def fleet(self, membership: Membership) -> Fleet:
        """The connections, kept open between passes for as long as the nodes are reached the same way."""
        if self._fleet is None or dict(membership.connections) != self._known:
            if self._fleet is not None:
                self._fleet.close()
            self._known = dict(membership.connections)
            self._fleet = Fleet(membership.connections, forks=self.settings.forks, options=self.options)
        return self._fleet

    def credentials(self) -> Credentials:
        """For registries; read anew for each wave, since tokens expire and people log in while a watch goes on."""
        return Credentials(self.environ)

    def stacks(self, replaced: Iterable[Revision] = ()) -> tuple[DesiredStack, ...]:
        """The desired stacks, each service with the nodes its pattern matches. `replaced`: heads to be."""
        heads = {head.revision.stack: (head.revision, head.removing) for head in self.store.heads()}
        heads.update({revision.stack: (revision, False) for revision in replaced})
        hosts: dict[str, tuple[str, ...]] = {}
        stacks = []
        for name in sorted(heads):
            revision, removing = heads[name]
            for service in revision.spec.services:
                if service.pattern not in hosts:
                    hosts[service.pattern] = tuple(sorted(match(service.pattern, self.inventory).hosts))
            eligible = tuple((service.name, hosts[service.pattern]) for service in revision.spec.services)
            stacks.append(DesiredStack(revision, eligible, removing))
        return tuple(stacks)

    def situation(
        self, membership: Membership, stacks: tuple[DesiredStack, ...], limit: frozenset[str] | None = None
    ) -> Situation:
        """All that is known before the nodes are asked."""
        return Situation(
            cluster=self.store.cluster,
            now=self.now(),
            nodes=membership.nodes,
            stacks=stacks,
            memory=self.store.memory(),
            limit=limit,
            timing=self.settings.timing,
        )

    def close(self) -> None:
        """Close all connections and the store."""
        if self._fleet is not None:
            self._fleet.close()
        self.store.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def limited(session: Session, pattern: str | None) -> frozenset[str] | None:
    """The nodes that `--limit` names; a pattern that matches nothing is an error."""
    if pattern is None:
        return None
    hosts = frozenset(match(pattern, session.inventory).hosts)
    if not hosts:
        raise ConfigError(f"--limit {pattern} matches no host of the inventory")
    return hosts


def with_revisions(situation: Situation, session: Session) -> Situation:
    """Add the older revisions that containers say they were made from, so that a plan can tell what changed."""
    heads = {stack.revision.stack: stack.revision.number for stack in situation.stacks}
    wanted = set()
    for node in situation.seen().values():
        for box in node.containers:
            stack, number = box.label("shipyard.stack") or "", box.label("shipyard.revision") or ""
            if stack in heads and number.isascii() and number.isdigit() and int(number[:9]) != heads[stack]:
                wanted.add((stack, int(number[:9])))
    found = [session.store.revision(stack, number) for stack, number in sorted(wanted)]
    return replace(situation, history=tuple(revision for revision in found if revision is not None))
