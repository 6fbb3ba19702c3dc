"""Hosts that joined since a stack was applied get their containers once, and that is recorded in the revision.

A revision is frozen, so nothing of what it says changes by this. A host that agrees with one that it was rendered for,
in all variables that the service's templates can reach, gets what that one has. For another the file is read again, and
believed only if it still says of every other host exactly what was applied. Whatever comes of it is written down: later
passes read neither files nor variables, and the history of the stack has no more entries than before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from shipyard.base.errors import ShipyardError
from shipyard.base.record import Struct, replace
from shipyard.model.container import ContainerSpec
from shipyard.model.event import Event
from shipyard.model.situation import DesiredStack, Lacking, Situation
from shipyard.model.spec import Revision, ServiceSpec, StackSpec
from shipyard.reconcile.rereading import Files, in_words

if TYPE_CHECKING:
    from shipyard.model.inventory import Inventory
    from shipyard.model.memory import Memory
    from shipyard.model.progress import Progress
    from shipyard.reconcile.keeper import LeaseKeeper
    from shipyard.reconcile.session import Session

RENDERED = "NodeRendered"
"""The reason of the event that a host was given its container of a service."""
LIMITED = "a run without --limit gives it its own"

New = tuple[ServiceSpec, tuple[str, ...]]
"""A service, and the hosts of which it is not known what its container is there."""


class _Given(Struct):
    """What comes of one stack. `services`: those that changed, by name."""

    services: dict[str, ServiceSpec]
    events: list[Event]
    lacking: list[Lacking]


def newcomers(stack: DesiredStack) -> list[New]:
    """The services of a stack that lack values for some host which their patterns match."""
    if stack.removing:
        return []
    found: list[New] = []
    for service in stack.revision.spec.services:
        if service.per_node:
            eligible = stack.eligible_for(service.name)
            if eligible != service.rendered and (more := set(eligible).difference(service.rendered)):
                found.append((service, tuple(sorted(more))))
    return found


def welcome(session: Session, situation: Situation, keeper: LeaseKeeper, progress: Progress) -> Situation:
    """The situation in which hosts that joined have what could be found out for them; that is stored.

    Tried once for each revision in a run; by one that is limited to some nodes, for these.
    """
    stacks, memory, lacking = situation.stacks, situation.memory, []
    for stack in situation.stacks:
        new, others = _within(newcomers(stack), situation.limit)
        lacking += _without(stack, others, LIMITED)
        if not new:
            continue
        key = _key(stack.revision)
        if key not in session.lacking:
            given = _given(session, stack, new)
            session.lacking[key] = tuple(given.lacking)
            if given.services:
                keeper.check()
                now = replace(situation, stacks=stacks, memory=memory)
                fresh = _with(stack, given)
                memory = _carried(now, stack, fresh)
                stored = session.store.amend_revision(
                    stack.revision, fresh.revision.spec, wanted=memory, happened=tuple(given.events), now=session.now()
                )
                key = _key(stored)
                session.lacking[key] = tuple(given.lacking)
                stacks = tuple(replace(fresh, revision=stored) if each is stack else each for each in stacks)
                for event in given.events:
                    progress.on_event(event)
        lacking += session.lacking[key]
    if stacks is situation.stacks and not lacking:
        return situation
    return replace(situation, stacks=stacks, memory=memory, lacking=tuple(lacking))


def foreseen(session: Session, situation: Situation) -> Situation:
    """The same for a plan: as it would be. Nothing is stored."""
    stacks, memory, lacking = situation.stacks, situation.memory, []
    for stack in situation.stacks:
        new, others = _within(newcomers(stack), situation.limit)
        lacking += _without(stack, others, LIMITED)
        if new:
            given = _given(session, stack, new)
            fresh = _with(stack, given)
            memory = _carried(replace(situation, stacks=stacks, memory=memory), stack, fresh)
            stacks = tuple(fresh if each is stack else each for each in stacks)
            lacking += given.lacking
    return replace(situation, stacks=stacks, memory=memory, lacking=tuple(lacking))


def _key(revision: Revision) -> tuple[str, int, str]:
    return revision.stack, revision.number, revision.digest


def _within(new: Sequence[New], limit: Collection[str] | None) -> tuple[list[New], list[New]]:
    """The hosts among these that a run is about, and the others, each with their services."""
    if limit is None:
        return list(new), []
    inside = [(service, tuple(node for node in nodes if node in limit)) for service, nodes in new]
    outside = [(service, tuple(node for node in nodes if node not in limit)) for service, nodes in new]
    return [each for each in inside if each[1]], [each for each in outside if each[1]]


def _without(stack: DesiredStack, new: Iterable[New], why: str) -> list[Lacking]:
    return [Lacking(stack.revision.stack, service.name, node, why) for service, nodes in new for node in nodes]


def _given(session: Session, stack: DesiredStack, new: Sequence[New]) -> _Given:
    """What each of these hosts gets, or why it gets nothing."""
    from shipyard.files.playbook.variants import with_nodes

    found = _Given({}, [], [])
    now, name = session.now(), stack.revision.stack
    files = Files(session, stack)
    for service, nodes in new:
        try:
            inventory = files.inventory(service)
        except ShipyardError as error:
            found.lacking += _without(stack, [(service, nodes)], in_words(error))
            continue
        own: dict[str, ContainerSpec] = {}
        reached = set(service.reached)
        alike = _alike(inventory, service)
        for node in nodes:
            like = alike.get(_values(inventory, service, node))
            if service.reached and like is not None:
                own[node] = service.container_on(like)
                words = f"{node} has what {like} has of it, whose variables are the same"
            else:
                fresh = files.fresh(service)
                spec = fresh if isinstance(fresh, str) else _usable(stack.revision.spec, service, fresh, node)
                if isinstance(spec, str) or isinstance(fresh, str):
                    found.lacking.append(Lacking(name, service.name, node, str(spec)))
                    continue
                own[node] = spec
                reached.update(fresh.reached)
                words = f"{node} has its own container of it, as {service.file} says"
            message = f"{words}; revision {stack.revision.number} has that from now on"
            found.events.append(Event(now, RENDERED, f"{name}/{service.name}", message, node))
        if own:
            before = {node: service.container_on(node) for node in service.rendered}
            known = replace(service, reached=tuple(sorted(reached)))
            found.services[service.name] = with_nodes(known, {**before, **own})
    return found


def _alike(inventory: Inventory, service: ServiceSpec) -> dict[object, str]:
    """By what hosts have for the variables that the service reaches: the first of those that have a container."""
    return {
        _values(inventory, service, node): node
        for node in reversed(service.rendered)
        if service.reached and inventory.host(node) is not None
    }


def _values(inventory: Inventory, service: ServiceSpec, node: str) -> object:
    from shipyard.files.playbook.rendering import value_on

    host = inventory.host(node)
    return None if host is None else tuple(value_on(host, name) for name in service.reached)


def _usable(stack: StackSpec, service: ServiceSpec, fresh: ServiceSpec, node: str) -> ContainerSpec | str:
    """What the file says for this host; or why it needs an apply: the revision has not all that belongs to it."""
    from shipyard.reconcile.images import is_resolved

    if not fresh.has_values(node):
        return "that has none for it either; apply it once it has"
    spec = fresh.container_on(node)
    images = {container.image for container in service.containers()}
    networks = {network.name for network in stack.networks}
    volumes = {volume.name for volume in stack.volumes}
    configs = {(config.name, config.digest) for config in stack.configs}
    secrets = {(secret.key, secret.digest) for secret in stack.secrets}
    for each in spec.containers():
        if not is_resolved(each.image) and each.image not in images:
            return _unknown(f"the image {each.image}")
        for at in each.networks:
            if at.network not in networks:
                return _unknown(f"the network {at.network}")
        for mount in each.mounts:
            if mount.kind == "volume" and mount.source and mount.source not in volumes:
                return _unknown(f"the volume {mount.source}")
        for config in each.configs:
            if (config.name, config.digest) not in configs:
                return _unknown(f"the config {config.name}")
        for secret in each.secrets:
            if (secret.name, secret.digest) not in secrets:
                return _unknown(f"the secret {secret.name}")
    return spec


def _unknown(what: str) -> str:
    return f"it would have {what}, which no host had when that was applied; apply it again"


def _with(stack: DesiredStack, given: _Given) -> DesiredStack:
    from shipyard.model.canonical import stack_digest

    if not given.services:
        return stack
    spec = stack.revision.spec
    services = tuple(given.services.get(service.name, service) for service in spec.services)
    spec = replace(spec, services=services)
    return replace(stack, revision=replace(stack.revision, spec=spec, digest=stack_digest(spec)))


def _carried(situation: Situation, before: DesiredStack, after: DesiredStack) -> Memory:
    """The memory, in which what an update goes to, and what a job's run is of, is called as it is called from now on.

    So a host that joins begins neither an update nor a run, and what is paused stays so.
    """
    from shipyard.planner.job_watch import job_hash
    from shipyard.planner.network.spanning import resolved
    from shipyard.planner.turns import target

    memory = situation.memory
    if after is before:
        return memory
    now = replace(situation, stacks=tuple(after if each is before else each for each in situation.stacks))
    name = before.revision.stack
    targets: dict[tuple[str, str], str] = {}
    runs: dict[tuple[str, str], str] = {}
    for old, new in (
        (before, after),
        (_named(resolved(situation), name), _named(resolved(now), name)),  # updates are told apart by this one
    ):
        for one, other in zip(old.revision.spec.services, new.revision.spec.services, strict=True):
            if one != other:
                targets[one.name, target(one)] = target(other)
                runs[one.name, job_hash(one)] = job_hash(other)
    return replace(
        memory,
        rollouts=tuple(
            replace(each, target=targets.get((each.service, each.target), each.target)) if each.stack == name else each
            for each in memory.rollouts
        ),
        jobs=tuple(
            replace(job, runs=tuple(replace(run, spec=runs.get((job.service, run.spec), run.spec)) for run in job.runs))
            if job.stack == name
            else job
            for job in memory.jobs
        ),
    )


def _named(situation: Situation, name: str) -> DesiredStack:
    return next(stack for stack in situation.stacks if stack.revision.stack == name)
