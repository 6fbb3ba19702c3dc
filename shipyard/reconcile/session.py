"""What a command works with: settings, inventory, store and the connections to the nodes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

from shipyard.base import clock
from shipyard.base.errors import ConfigError
from shipyard.base.record import replace
from shipyard.files.config import Settings
from shipyard.files.patterns import match
from shipyard.files.registries import Credentials
from shipyard.model.canonical import dumps
from shipyard.model.inventory import Connection, Inventory
from shipyard.model.observed import Observation, ObservedImage
from shipyard.model.plan import Plan
from shipyard.model.situation import DesiredStack, Lacking, Situation
from shipyard.model.spec import Revision
from shipyard.observe.probe import NodeRequest
from shipyard.reconcile.beforehand import Beforehand, expected
from shipyard.reconcile.early import Opening, read_inventory
from shipyard.reconcile.membership import Membership, members
from shipyard.reconcile.vault import Vault
from shipyard.store.store import Store
from shipyard.transport.fleet import Fleet


@dataclass(slots=True)
class Session:
    """Open for one command. `planned`: the plan by which it was decided what to look closer at, and of what.

    `asked`: what the last pass asked at first. `expected`: the same, of the last that found nothing to do, with the
    containers that it found. `found`: ids of the containers that are there by all that nodes answered, by node;
    `networks`: names of our networks that were there when all nodes were last asked. `images`: of each node, those that
    it was found to have in this run, by reference. `lacking`: by stack, number and digest, revisions whose hosts that
    joined were looked after in this run, with those that got nothing.
    """

    settings: Settings
    opening: Opening
    inventory: Inventory
    store: Store
    _fleet: Fleet
    _known: dict[str, Connection]
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    planned: tuple[Situation, Plan] | None = None
    asked: tuple[NodeRequest, ...] = ()
    expected: Mapping[str, NodeRequest] = field(default_factory=dict)
    found: dict[str, tuple[str, ...]] = field(default_factory=dict)
    networks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    images: dict[str, dict[str, ObservedImage]] = field(default_factory=dict)
    lacking: dict[tuple[str, int, str], tuple[Lacking, ...]] = field(default_factory=dict)
    _beforehand: Beforehand | None = None
    _epoch: int | None = None
    _vault: Vault | None = None

    @classmethod
    def open(cls, settings: Settings, opening: Opening, *, create: bool = False) -> Session:
        """Open the store. `create`: make it where there is none (apply does)."""
        try:
            store = Store.open(settings.database, create=create, cluster=settings.cluster)
        except BaseException:
            opening.fleet.close()
            raise
        session = cls(settings, opening, opening.inventory, store, opening.fleet, dict(opening.connections))
        if opening.beforehand is not None:
            session._beforehand, session.expected = opening.beforehand, opening.beforehand.requests
            session.found = {name: known.containers for name, known in session.expected.items()}
        store.keys = lambda: session.vault
        store.retention = settings.retention
        return session

    def reload_inventory(self) -> None:
        """Read the inventory again."""
        self.inventory = read_inventory(
            self.settings, self.opening.playbook_dirs, trusted=self.opening.trusted, keys=self.opening.keys
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
        return members(self.inventory, stored, sorted({*patterns, *extra_patterns}), confirmed=self.settings.yes)

    def fleet(self, membership: Membership) -> Fleet:
        """The connections, kept open between passes for as long as the nodes are reached the same way."""
        wanted = dict(membership.connections)
        if any(wanted.get(name) != known for name, known in self._known.items()):
            self._fleet.close()
            self._fleet = Fleet(wanted, forks=self.settings.forks, options=self.opening.options)
        elif wanted != self._known:
            self._fleet.reach(wanted)
        self._known = wanted
        return self._fleet

    def credentials(self) -> Credentials:
        """For registries; read anew for each wave, since tokens expire and people log in while a watch goes on."""
        return Credentials(self.environ)

    @property
    def vault(self) -> Vault:
        """The store's secrets."""
        if self._vault is None:
            source, folder = self.settings.secrets, self.settings.root
            self._vault = Vault(self.store, source, self.environ, trusted=self.opening.trusted, folder=folder)
        return self._vault

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
            ranges=self.settings.network,
        )

    def beforehand(self, fleet: Fleet, wanted: Iterable[NodeRequest]) -> tuple[Observation, ...]:
        """Answers to these requests, where they were asked over these connections already. Each can be had once."""
        early, self._beforehand = self._beforehand, None
        return early.take(wanted) if early is not None and early.fleet is fleet else ()

    def expect(self, situation: Situation) -> None:
        """A pass found nothing to do: the next one will most probably ask the same, and find the same containers."""
        wanted = expected(self.asked, situation)
        if wanted != self.expected:
            self.store.save_questions({name: dumps(request) for name, request in wanted.items()})
            self.expected = wanted

    def holds(self, epoch: int) -> None:
        """This command holds the lease now. What somebody may have changed since it was asked does not count."""
        self.images, self.lacking = {}, {}
        before = self._beforehand.epoch if self._beforehand is not None else self._epoch
        if before is not None and epoch != before + 1:
            self._beforehand, self.expected, self.found, self.networks = None, {}, {}, {}
        self._epoch = epoch

    def close(self) -> None:
        """Close all connections and the store."""
        self._fleet.close()
        self.store.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def limited(session: Session, pattern: str | None) -> frozenset[str] | None:
    """The nodes that `--limit` names, a pattern or `@FILE` of patterns; one that matches nothing is an error."""
    if pattern is None:
        return None
    hosts = frozenset(match("all", session.inventory, limit=pattern).hosts)
    if not hosts:
        raise ConfigError(f"--limit {pattern} matches no host of the inventory")
    return hosts


def with_revisions(situation: Situation, session: Session) -> Situation:
    """Add the older revisions that replicas were made from, and that updates can go back to."""
    heads = {stack.revision.stack: stack.revision.number for stack in situation.stacks}
    memory = situation.memory
    wanted = {(placement.stack, placement.revision) for placement in memory.placements}
    wanted |= {(each.stack, number) for each in memory.rollouts for number in (each.revision, each.before)}
    for node in situation.seen().values():
        for box in node.containers:
            stack, number = box.label("shipyard.stack") or "", box.label("shipyard.revision") or ""
            if number.isascii() and number.isdigit():
                wanted.add((stack, int(number[:9])))
    older = sorted((stack, number) for stack, number in wanted if number and heads.get(stack, number) != number)
    found = [session.store.revision(stack, number) for stack, number in older]
    return replace(situation, history=tuple(revision for revision in found if revision is not None))
