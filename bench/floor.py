"""The floor: what plain OpenSSH needs for the same on all nodes at once, without deciding anything.

Cold is a new connection each (with curve25519: OpenSSH's own default costs ten times the CPU); warm goes over
connections that are open already.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.ground import COMMAND, IMAGE, SERVICES, Ground
from bench.process import Cost, together
from shipyard.base import shell
from shipyard.lab.layout import Runtime
from shipyard.model import labels
from shipyard.model.container import Attachment, ContainerSpec
from shipyard.runtime.dialects import by_name

NETWORK = "floor_default"


def status(runtime: Runtime) -> str:
    """The command that says all about all containers of a node."""
    return f"{runtime} ps -aq | xargs {runtime} inspect"


def network(runtime: Runtime) -> str:
    """The command that makes the network which `creation` needs."""
    return f"{runtime} network create {NETWORK} >/dev/null"


def creation(runtime: Runtime, names: Sequence[str] = SERVICES) -> str:
    """The commands that make a node's containers one after the other, with the options that shipyard gives."""
    dialect = by_name(runtime)
    lines = ["set -e"]
    for name in names:
        spec = ContainerSpec(
            image=IMAGE, command=COMMAND, stop_grace_period=0.0, networks=(Attachment(NETWORK, aliases=(name,)),)
        )
        marks = (
            (labels.CLUSTER, "floor"),
            (labels.STACK, "floor"),
            (labels.SERVICE, name),
            (labels.SLOT, "1"),
            (labels.REVISION, "1"),
            (labels.SPEC, f"v1:{'0' * 64}"),
        )
        commands = dialect.create_container(f"floor-{name}-1-000000", spec, marks, {})
        lines += [f"{shell.join(command.argv)} >/dev/null" for command in commands]
    return "\n".join(lines)


def cold(ground: Ground, command: str, addresses: Sequence[str] | None = None) -> Cost:
    """The command on every node (or these), over a new connection each, all at once."""
    return _on_each(ground, command, addresses, ["-o", "KexAlgorithms=curve25519-sha256", "-o", "ControlPath=none"])


def warm(ground: Ground, command: str, addresses: Sequence[str] | None = None) -> Cost:
    """The same over the connections that `opened` holds."""
    return _on_each(ground, command, addresses, ["-o", "ControlMaster=no", *_socket(ground)])


@contextmanager
def opened(ground: Ground) -> Iterator[None]:
    """A connection to every node is open meanwhile, for `warm`."""
    started = []
    try:
        for address in ground.addresses():
            command = [*_ssh(ground), "-M", "-N", "-f", *_socket(ground), f"root@{address}"]
            subprocess.run(command, env=ground.env, cwd=ground.folder, stdin=subprocess.DEVNULL, check=True)
            started.append(address)
        yield
    finally:
        for address in started:
            command = [*_ssh(ground), *_socket(ground), "-O", "exit", f"root@{address}"]
            subprocess.run(command, env=ground.env, cwd=ground.folder, capture_output=True, check=False)


def _on_each(ground: Ground, command: str, addresses: Sequence[str] | None, options: Sequence[str]) -> Cost:
    chosen = ground.addresses() if addresses is None else addresses
    argvs = [[*_ssh(ground), *options, f"root@{address}", command] for address in chosen]
    return together(argvs, cwd=ground.folder, env=ground.env)


def _ssh(ground: Ground) -> list[str]:
    layout = ground.lab.layout
    return [
        *("ssh", "-F", "/dev/null", "-i", str(layout.key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
        *("-o", f"UserKnownHostsFile={layout.known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null"),
    ]


def _socket(ground: Ground) -> list[str]:
    """Relative to the folder, since a socket's path must be short."""
    return ["-o", "ControlPath=./cm-%h"]
