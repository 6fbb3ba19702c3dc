"""Who restarts what ended, how often, and when it is given up.

The runtime restarts at once and without asking, so that a container comes back without shipyard. Passes count what it
did: three restarts between two of them, and shipyard stops the container and starts it itself, with back-off; more than
`max_attempts`, and it is left as it is.
"""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model import labels
from shipyard.model.container import ContainerSpec, RestartPolicy
from shipyard.model.memory import Attempts, Placement
from shipyard.model.observed import Container, ContainerState
from shipyard.model.plan import Waiting
from shipyard.planner.world import World

TOLERATED = 3
"""Restarts by the runtime, between two passes; more, and shipyard takes over with back-off."""


def since(world: World, placement: Placement, box: Container) -> int:
    """Restarts by the runtime since the last pass that looked."""
    if not box.restarts:
        return 0
    before = world.failures.get(placement.key)
    counted = before.restarts if before is not None and before.container == box.id else 0
    return box.restarts - counted if box.restarts >= counted else box.restarts


def too_many(world: World, placement: Placement, box: Container) -> bool:
    """Whether the runtime restarts it again and again."""
    return since(world, placement, box) >= TOLERATED


def wanted(policy: RestartPolicy, box: Container) -> bool:
    """Whether the policy's condition asks for a restart of what ended like this."""
    well = box.exit_code == 0 and not box.error
    return policy.condition != "none" and not (policy.condition == "on-failure" and well)


def given_up(world: World, placement: Placement, policy: RestartPolicy, box: Container) -> bool:
    """Whether it has been restarted as often as it may. Of what runs: whether the runtime went beyond that."""
    if policy.max_attempts is None or policy.condition == "none":
        return False
    count = _counted(world, placement, policy, box).count
    return count > policy.max_attempts or (box.state != ContainerState.RUNNING and count == policy.max_attempts)


def _counted(world: World, placement: Placement, policy: RestartPolicy, box: Container) -> Attempts:
    """With what the runtime did since the last look. A run that was long enough forgives all before it."""
    spec = box.label(labels.SPEC) or ""
    known = world.attempts.get(placement.key)
    if known is None or known.spec != spec:
        known = Attempts(*placement.key, spec)
    before = known.restarts if known.container == box.id and known.restarts <= box.restarts else 0
    count = known.count + box.restarts - before
    if _ran(box) >= (policy.window or world.situation.timing.backoff_reset):
        count = 0
    return replace(known, container=box.id, restarts=box.restarts, count=count)


def _ran(box: Container) -> float:
    """Seconds, in its present or last life."""
    if box.age is None:
        return 0.0
    return box.age if box.state == ContainerState.RUNNING else box.age - (box.ended or 0.0)


def remember(world: World, placement: Placement, spec: ContainerSpec, box: Container) -> None:
    """Note what the runtime did, where that is limited."""
    if spec.restart is None or spec.restart.max_attempts is None:
        world.attempts.pop(placement.key, None)
        return
    counted = _counted(world, placement, spec.restart, box)
    if counted.count or placement.key in world.attempts:
        world.attempts[placement.key] = counted


def note(world: World, placement: Placement, spec: ContainerSpec, box: Container) -> None:
    """Shipyard starts it: that is one restart more."""
    if spec.restart is not None and spec.restart.max_attempts is not None:
        counted = _counted(world, placement, spec.restart, box)
        world.attempts[placement.key] = replace(counted, count=counted.count + 1)


def delayed(world: World, target: str, spec: ContainerSpec, box: Container) -> Waiting | None:
    """The wait that the policy's `delay` asks for before shipyard starts it."""
    delay = spec.restart.delay if spec.restart is not None else 0.0
    if box.ended is None or box.ended >= delay:
        return None
    why = f"ended {box.ended:.0f} s ago, and is started {delay:g} s after it did"
    return Waiting(target, "RestartDelay", why, world.now + delay - box.ended)
