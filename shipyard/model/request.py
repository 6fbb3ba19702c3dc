"""What a command line asks of a pass, as values: nothing below the command line knows about options."""

from __future__ import annotations

from shipyard.base.record import Struct


class ApplyRequest(Struct, frozen=True):
    """`plan` and `apply`. `extra_vars`: as given (`K=V`, `@FILE`, JSON). `limit`: a host pattern. `tags`: () for all.

    `prune`: these files are the whole of their stacks. `accept_empty`: full names of lost volumes that may begin
    anew. `wait` False: one pass, then leave the rest to `reconcile`. `timeout`: seconds until the fleet must have
    converged. `hosts`, `stack`, `strict`, `env_files`, `profiles`: of files that are no playbooks.
    """

    files: tuple[str, ...]
    extra_vars: tuple[str, ...] = ()
    limit: str | None = None
    tags: tuple[str, ...] = ()
    prune: bool = False
    accept_empty: tuple[str, ...] = ()
    untrusted: bool = False
    wait: bool = True
    timeout: float = 600.0
    hosts: str = ""
    stack: str = ""
    strict: bool = False
    env_files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()


class ReconcileRequest(Struct, frozen=True):
    """`reconcile`. `once`: one pass. `watch`: for ever, a pass every `interval` seconds. `check`: change nothing.

    `cron`: passes come as often as cron starts them.
    """

    limit: str | None = None
    once: bool = False
    watch: bool = False
    interval: float = 60.0
    check: bool = False
    cron: bool = False
    accept_empty: tuple[str, ...] = ()
    timeout: float = 600.0


class RemoveRequest(Struct, frozen=True):
    """`rm`. `volumes`: keys or full names of the stack's volumes whose data goes too."""

    stack: str
    volumes: tuple[str, ...] = ()
    timeout: float = 600.0


class DrainRequest(Struct, frozen=True):
    """`drain`. `pattern`: of hosts. `deadline`: seconds in which what is moved waits for others."""

    pattern: str
    deadline: float = 3600.0
    wait: bool = True
    timeout: float = 600.0


class JobRequest(Struct, frozen=True):
    """`job run`. `wait` False: one pass, then leave the rest to `reconcile`."""

    stack: str
    service: str
    wait: bool = True
    timeout: float = 600.0


class MoreNodes(Struct, frozen=True):
    """So many nodes that are not there yet, each like one that is."""

    count: int
    like: str


class SimulateRequest(Struct, frozen=True):
    """`simulate`. `files`, `extra_vars`: as for `apply`; () for what was applied last. `without`: host patterns.

    `scale`: stack, service and how many replicas it would have.
    """

    files: tuple[str, ...] = ()
    extra_vars: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    add: tuple[MoreNodes, ...] = ()
    scale: tuple[tuple[str, str, int], ...] = ()
    hosts: str = ""
    stack: str = ""
    strict: bool = False
    env_files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()


class NodeCheck(Struct, frozen=True):
    """What `nodes check` found out about one node. `reached` False: there was no connection.

    `problems`: sentence and how to mend it ("" where that is plain).
    """

    node: str
    ok: bool
    runtime: str = ""
    version: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    problems: tuple[tuple[str, str], ...] = ()
    reached: bool = True


class HostKey(Struct, frozen=True):
    """A key that a host shows. `known`: what known_hosts says of it: `same`, `new` or `changed`."""

    node: str
    host: str
    kind: str
    fingerprint: str
    known: str = "new"
