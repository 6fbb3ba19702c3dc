"""What each step comes to on a node: the runtime's commands, or a piece of shell text for shipyard's own files there.

Adding a step to the model without saying here how it is done is a type error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from shipyard.base.errors import ShipyardError
from shipyard.base.secret import SecretBytes
from shipyard.model.plan import (
    ArmRevert,
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DisconnectNetwork,
    DropFiles,
    DropItem,
    DropMarker,
    DropRevision,
    EnsureItem,
    KeepAvailability,
    KeepRevision,
    LeaveBoot,
    LoadHolder,
    LoadRules,
    MakeKey,
    PullImage,
    PutConfig,
    PutSecret,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    Step,
    StopContainer,
    UnpauseContainer,
    WriteHosts,
)
from shipyard.runtime import holder, mounts, netdir, netitems, netplug, nodedir
from shipyard.runtime.dialect import Command, Dialect

Contents = Mapping[tuple[str, str], SecretBytes | ShipyardError]
"""Of secrets, by name and digest; an error: why it could not be had."""

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
    text: str = field(default="", repr=False)
    deadline: int = QUICK


def work(step: Step, dialect: Dialect, directory: str, contents: Contents, *, pull: float = PULL) -> Work:
    """How a step is done with this runtime. `directory`: what stands for shipyard's directory on the node in paths.
    `pull`: seconds for an image to come.

    Raises ValueError on what can't be put into a command, and ShipyardError where a secret's content is not to be had.
    """
    match step:
        case PullImage():
            return Work(dialect.pull(step.image, step.platform, step.always), deadline=max(1, int(pull)))
        case LoadHolder():
            return Work(text=holder.load(dialect.name, step.machine))
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
        case PutSecret():
            return Work(text=nodedir.put_secret(step, _content(step, contents)))
        case DropFiles():
            return Work(text=nodedir.drop_files(step))
        case CreateContainer():
            paths = {mount.file_name: f"{directory}/configs/{mount.file_name}" for mount in step.spec.configs}
            paths |= {mount.file_name: f"{directory}/secrets/{mount.file_name}" for mount in step.spec.secrets}
            if step.spec.hosts:
                paths[mounts.HOSTS] = netdir.hosts_path(directory, step.name)
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
        case KeepAvailability():
            return Work(text=nodedir.keep_availability(step))
        case DropMarker():
            return Work(text=nodedir.drop_marker(step.name))
        case ArmRevert():
            return Work(text=netdir.arm(step))
        case EnsureItem() if step.item.kind == "ports":
            return Work(text=netplug.plug(step.item, dialect.name))
        case EnsureItem():
            return Work(text=netitems.ensure(step.item))
        case DropItem():
            return Work(text=netitems.drop(step.item))
        case MakeKey():
            return Work(text=netdir.make_key())
        case LoadRules():
            return Work(text=netdir.load(step))
        case WriteHosts():
            return Work(text=netdir.write_hosts(step))
        case LeaveBoot():
            return Work(text=netdir.leave_boot(step))
        case _:
            assert_never(step)


def _content(step: PutSecret, contents: Contents) -> SecretBytes:
    content = contents[step.secret.name, step.secret.digest]
    if isinstance(content, ShipyardError):
        raise content
    return content


def _stopping(grace: float | None) -> int:
    return SLOW if grace is None else QUICK + int(grace)
