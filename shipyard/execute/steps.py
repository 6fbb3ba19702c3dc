"""What each step comes to on a node: the runtime's commands, or a piece of shell text for shipyard's own files there.

Adding a step to the model without saying here how it is done is a type error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from shipyard.model.plan import (
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DisconnectNetwork,
    DropMarker,
    DropRevision,
    KeepRevision,
    PullImage,
    PutConfig,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    Step,
    StopContainer,
    UnpauseContainer,
)
from shipyard.runtime import mounts, nodedir
from shipyard.runtime.dialect import Command, Dialect

QUICK = 120
"""Seconds for what a runtime does at once."""
SLOW = 600
"""Seconds for what may have to copy an image's files, or waits for a container whose own grace is not known."""
PULL = 1800
"""Seconds for what comes over a network."""


@dataclass(frozen=True, slots=True)
class Work:
    """`commands`: in order, a failing one ends the step. `text`: shell text in place of commands, or before them.

    `deadline`: seconds for each command.
    """

    commands: tuple[Command, ...] = ()
    text: str = ""
    deadline: int = QUICK


def work(step: Step, dialect: Dialect, directory: str) -> Work:
    """How a step is done with this runtime. `directory`: what stands for shipyard's directory on the node in paths.

    Raises ValueError on what can't be put into a command.
    """
    match step:
        case PullImage():
            return Work(dialect.pull(step.image, step.platform, step.always), deadline=PULL)
        case CreateNetwork():
            return Work(dialect.create_network(step.network, step.labels))
        case RemoveNetwork():
            return Work(dialect.remove_network(step.id))
        case CreateVolume():
            return Work(dialect.create_volume(step.volume, step.labels))
        case RemoveVolume():
            return Work(dialect.remove_volume(step.name))
        case PutConfig():
            return Work(text=nodedir.put_config(step))
        case CreateContainer():
            paths = {mount.file_name: f"{directory}/configs/{mount.file_name}" for mount in step.spec.configs}
            spec = mounts.carrying(step.spec, step.keep)
            once = nodedir.leave_marker(step.once) if step.once else ""
            return Work(dialect.create_container(step.name, spec, step.labels, paths), once, deadline=SLOW)
        case StartContainer():
            return Work(dialect.start(step.id))
        case UnpauseContainer():
            return Work(dialect.unpause(step.id))
        case StopContainer():
            return Work(dialect.stop(step.id, step.grace), deadline=_stopping(step.grace))
        case RemoveContainer():
            return Work(dialect.remove(step.id, step.grace), deadline=_stopping(step.grace))
        case ConnectNetwork():
            return Work(dialect.connect(step.id, step.attachment))
        case DisconnectNetwork():
            return Work(dialect.disconnect(step.id, step.network))
        case KeepRevision():
            return Work(text=nodedir.keep_revision(step))
        case DropRevision():
            return Work(text=nodedir.drop_revision(step.stack))
        case DropMarker():
            return Work(text=nodedir.drop_marker(step.name))
        case _:
            assert_never(step)


def _stopping(grace: float | None) -> int:
    return SLOW if grace is None else QUICK + int(grace)
