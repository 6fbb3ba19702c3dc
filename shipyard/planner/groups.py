"""Replicas of several containers, seen as one by the rest of the planner.

What a node has of one incarnation (holder, init containers, sidecars, main one) is folded into a single `Container`
whose `parts` they are. Its id is the holder's, whose networks it has: what is done to it, is done to the replica.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from shipyard.base.record import Struct, replace
from shipyard.model import labels
from shipyard.model.container import ContainerSpec, Healthcheck, Pairs, RestartPolicy
from shipyard.model.image import HOLDER
from shipyard.model.observed import Container, ContainerState, Health
from shipyard.model.plan import RemoveContainer, StartContainer, Step, StopContainer, UnpauseContainer
from shipyard.model.status import MemberStatus

Found = tuple[str, Container]
"""A container and its node."""

START_ORDER = ("holder", "init", "sidecar", "main", "")
"""By role; the main container has none. They are stopped the other way round."""

_ENDED = (ContainerState.EXITED, ContainerState.CREATED)
_WORST = (Health.UNHEALTHY, Health.STARTING, Health.HEALTHY, Health.NONE)


def member_of(box: Container) -> str:
    """Which member of its replica a container is; "" for the main one, and for an only one."""
    return box.label(labels.MEMBER) or ""


def role_of(box: Container) -> str:
    """`holder`, `init`, `sidecar`, `main` for a further main one, or "" for the main one."""
    return box.label(labels.ROLE) or ""


def named(part: Container, words: str) -> str:
    """Words about one container of a replica, with its name where it is not the main one."""
    member = member_of(part)
    return f"{member}: {words}" if member else words


def folded(found: Iterable[Found]) -> list[Found]:
    """A slot's containers, those of one incarnation as one; sorted by node and id."""
    together: defaultdict[tuple[str, str], list[Container]] = defaultdict(list)
    for node, box in found:
        together[node, labels.replica_name(box.name)].append(box)
    whole = [(node, _whole(boxes)) for (node, _), boxes in together.items()]
    return sorted(whole, key=lambda each: (each[0], each[1].id))


def as_one(boxes: Iterable[Container]) -> list[Container]:
    """A node's containers, those of one replica as one; sorted by id. All must be what their names say."""
    return [box for _, box in folded(("", box) for box in boxes)]


def _whole(boxes: Sequence[Container]) -> Container:
    if len(boxes) == 1 and not role_of(boxes[0]):
        return boxes[0]
    parts = tuple(sorted(boxes, key=lambda box: (START_ORDER.index(role_of(box)), box.name)))
    holder, main = holder_in(parts), main_in(parts)
    face = main or parts[0]
    specs = {box.label(labels.SPEC) for box in parts}
    said = {name: value for name, value in face.labels if name not in (labels.MEMBER, labels.ROLE)}
    if len(specs) > 1:
        said[labels.SPEC] = ""
    whole = replace(
        face,
        id=(holder or face).id,
        name=labels.replica_name(face.name),
        labels=tuple(sorted(said.items())),
        health=_health(parts),
        restarts=sum(box.restarts for box in lasting(parts)),
        networks=holder.networks if holder is not None else (),
        parts=parts,
    )
    if main is not None:
        return whole
    return replace(
        whole,
        state=ContainerState.CREATED,
        exit_code=None,
        error="",
        age=None,
        started=None,
        ended=None,
        log="",
        anonymous=(),
    )


def _health(parts: Sequence[Container]) -> Health:
    """The worst of what lasts; a sidecar that is down, and a network that is gone, are as bad as a failed check."""
    there = lasting(parts)
    down = any(role_of(box) and box.state != ContainerState.RUNNING and box.exit_code != 0 for box in there)
    if down or any(adrift(parts, box) for box in there):
        return Health.UNHEALTHY
    return min((box.health for box in there), key=_WORST.index, default=Health.NONE)


def parts_of(box: Container) -> tuple[Container, ...]:
    """The containers themselves, in the order of their start."""
    return box.parts or (box,)


def holder_in(parts: Iterable[Container]) -> Container | None:
    """Who owns the network namespace."""
    return next((box for box in parts if role_of(box) == "holder"), None)


def main_in(parts: Iterable[Container]) -> Container | None:
    """The main container."""
    return next((box for box in parts if not role_of(box)), None)


def lasting(parts: Iterable[Container]) -> list[Container]:
    """Sidecars and main containers: those that do the replica's work."""
    return [box for box in parts if role_of(box) in ("sidecar", "main", "")]


def adrift(parts: Iterable[Container], box: Container) -> bool:
    """Whether a container runs in a namespace that is no more: the holder ended, or began anew after it.

    A holder that has not lived at all by its node's clock tells nothing: that clock was set back.
    """
    holder = holder_in(parts)
    if holder is None or box.state != ContainerState.RUNNING or box.age is None:
        return False
    if holder.state != ContainerState.RUNNING:
        return True
    return holder.age is not None and 0 < holder.age < box.age


def missing(spec: ContainerSpec, box: Container) -> list[str]:
    """Names of the members that should be there beside a main container that is; init containers have had their day."""
    there = {member_of(part) for part in parts_of(box)}
    wanted = [labels.HOLDER, *(member.name for member in spec.members if member.kind != "init")]
    return [name for name in wanted if name not in there]


def unknown(spec: ContainerSpec, box: Container) -> list[str]:
    """Names of members that are there and should not be."""
    known = {"", labels.HOLDER, *(member.name for member in spec.members)} if spec.members else {""}
    return sorted({member_of(part) for part in parts_of(box)} - known)


def complete(spec: ContainerSpec, box: Container) -> bool:
    """Whether all that should be there is, and nothing else, and what lasts runs in the holder's namespace."""
    if unknown(spec, box) or missing(spec, box):
        return False
    running = (part.state == ContainerState.RUNNING for part in box.parts if role_of(part) != "init")
    return all(running) and not any(adrift(box.parts, part) for part in box.parts)


def spec_of(spec: ContainerSpec, box: Container) -> ContainerSpec:
    """What a replica of this spec wants of one of its containers."""
    name = member_of(box)
    return next((member.container for member in spec.members if member.name == name), spec)


class Made(Struct, frozen=True):
    """A container to be made. `member`: "" for a replica's main one."""

    member: str
    name: str
    spec: ContainerSpec
    labels: Pairs


def to_make(spec: ContainerSpec, name: str, box: Container | None, said: Pairs) -> Iterator[Made]:
    """The containers to make now, in order; init containers one at a time.

    `name`: the main container's. `box`: what is there of this incarnation. `said`: the labels of the main container.
    """
    if not spec.members:
        yield Made("", name, spec, said)
        return
    there = {member_of(part): part for part in parts_of(box)} if box is not None else {}
    holder = labels.member_name(name, labels.HOLDER)
    if labels.HOLDER not in there:
        yield Made(labels.HOLDER, holder, _holder(spec), _said(said, labels.HOLDER, "holder"))
    for kind in ("init", "sidecar", "main"):
        for member in spec.members:
            if member.kind != kind:
                continue
            if member.name not in there:
                made = _joined(member.container, spec, holder)
                made = _once(made) if kind == "init" else made
                marks = _said(said, member.name, kind)
                yield Made(member.name, labels.member_name(name, member.name), made, marks)
            if kind == "init" and not completed(there.get(member.name)):
                return
    if "" not in there:
        yield Made("", name, _joined(spec, spec, holder), said)


def completed(box: Container | None) -> bool:
    """Whether an init container has done its work."""
    return box is not None and box.state == ContainerState.EXITED and box.exit_code == 0 and not box.error


def _said(said: Pairs, member: str, role: str) -> Pairs:
    return tuple(sorted((*said, (labels.MEMBER, member), (labels.ROLE, role))))


def _holder(spec: ContainerSpec) -> ContainerSpec:
    """All that belongs to the namespace, and no rights. It comes back by itself, unless the replica was stopped."""
    return ContainerSpec(
        image=HOLDER,
        hostname=spec.hostname,
        domainname=spec.domainname,
        read_only=True,
        cap_drop=("ALL",),
        security_opt=("no-new-privileges",),
        cgroup_parent=spec.cgroup_parent,
        userns_mode=spec.userns_mode,
        restart=RestartPolicy("unless-stopped"),
        dns=spec.dns,
        dns_search=spec.dns_search,
        dns_opt=spec.dns_opt,
        extra_hosts=spec.extra_hosts,
        ports=spec.ports,
        expose=spec.expose,
        networks=spec.networks,
        network_mode=spec.network_mode,
    )


def _joined(spec: ContainerSpec, main: ContainerSpec, holder: str) -> ContainerSpec:
    """In the holder's namespace, and so without anything that belongs to it. The node's own needs no joining."""
    if main.network_mode == "host":
        return replace(spec, members=(), network_mode="host")
    return replace(
        spec,
        members=(),
        hostname=None,
        domainname=None,
        dns=(),
        dns_search=(),
        dns_opt=(),
        extra_hosts=(),
        ports=(),
        expose=(),
        networks=(),
        network_mode=f"container:{holder}",
    )


def _once(spec: ContainerSpec) -> ContainerSpec:
    return replace(spec, restart=RestartPolicy("none"), healthcheck=Healthcheck(("NONE",)))


def starting(spec: ContainerSpec, box: Container) -> list[Step]:
    """What starts a replica that is down as a whole or in part, in order; who is adrift is stopped first."""
    if not box.parts:
        return [StartContainer(box.id, box.name)]
    holder = holder_in(box.parts)
    back = holder is not None and holder.state != ContainerState.RUNNING
    steps: list[Step] = [StartContainer(holder.id, holder.name)] if holder is not None and back else []
    for part in lasting(box.parts):
        if part.state == ContainerState.PAUSED and back:
            steps.append(UnpauseContainer(part.id, part.name))
        if adrift(box.parts, part) or (part.state == ContainerState.PAUSED and back):
            steps += [StopContainer(part.id, part.name), StartContainer(part.id, part.name)]
        elif part.state in _ENDED and not _stays_down(spec_of(spec, part), part):
            steps.append(StartContainer(part.id, part.name))
    return steps


def _stays_down(spec: ContainerSpec, part: Container) -> bool:
    """A sidecar that ended and is not to be restarted."""
    condition = (spec.restart or RestartPolicy()).condition
    well = part.exit_code == 0 and not part.error
    return condition == "none" or (condition == "on-failure" and well)


def members(box: Container) -> tuple[MemberStatus, ...]:
    """The containers beside a replica's main one, for people; not the holder, which nobody asked for."""
    return tuple(
        MemberStatus(
            name=member_of(part),
            kind=role_of(part),
            state=str(part.state),
            health=str(part.health),
            container=part.id,
            exit_code=part.exit_code,
            restarts=part.restarts,
        )
        for part in box.parts
        if role_of(part) not in ("holder", "")
    )


def culprit(box: Container) -> Container:
    """Of a replica that the runtime restarts again and again: the container that it does that to."""
    parts = lasting(parts_of(box))
    return max(parts, key=lambda part: (part.state == ContainerState.RESTARTING, part.restarts), default=box)


def each_step(step: Step, parts: Sequence[Container]) -> list[Step]:
    """A step on a replica as steps on its containers, at least one; who started last is first to go."""
    match step:
        case StopContainer() if parts:
            down = (ContainerState.EXITED, ContainerState.CREATED, ContainerState.DEAD)
            backwards = [part for part in reversed(parts) if part.state not in down] or [parts[0]]
            return [replace(step, id=part.id, name=part.name, grace=_grace(step.grace, part)) for part in backwards]
        case RemoveContainer() if parts:
            backwards = list(reversed(parts))
            return [replace(step, id=part.id, name=part.name, grace=_grace(step.grace, part)) for part in backwards]
        case UnpauseContainer() if parts:
            paused = [part for part in parts if part.state == ContainerState.PAUSED] or [parts[0]]
            return [UnpauseContainer(part.id, part.name) for part in paused]
        case _:
            return [step]


def _grace(grace: float | None, part: Container) -> float | None:
    """What was written is about the main container; the others know their own."""
    return None if role_of(part) else grace
