"""What a pass would do: inert steps with their reasons, and what became of them."""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum

from shipyard.base.record import Struct
from shipyard.model.container import Attachment, ConfigMount, ContainerSpec, Pairs
from shipyard.model.memory import Memory
from shipyard.model.node import Availability
from shipyard.model.spec import ConfigSpec, NetworkSpec, SecretSpec, VolumeSpec
from shipyard.model.wire import HostsFile, Item


class PullImage(Struct, frozen=True):
    """`always`: ask the registry even when the node has it."""

    image: str
    platform: str | None = None
    always: bool = False


class LoadHolder(Struct, frozen=True):
    """The image of what owns the network of several containers, which shipyard brings along.

    `machine`: the node's kind, as its kernel says it.
    """

    machine: str


class CreateNetwork(Struct, frozen=True):
    network: NetworkSpec
    labels: Pairs


class RemoveNetwork(Struct, frozen=True):
    id: str
    name: str


class CreateVolume(Struct, frozen=True):
    volume: VolumeSpec
    labels: Pairs


class RemoveVolume(Struct, frozen=True):
    name: str


class PutConfig(Struct, frozen=True):
    """The content of a config as a file on the node, with the owner and mode that the container will see.

    Its name there is `mount.file_name`.
    """

    config: ConfigSpec
    mount: ConfigMount


class PutSecret(Struct, frozen=True):
    """A secret as a file on the node; its content is asked of the store when the step is done, and is in no plan."""

    secret: SecretSpec
    mount: ConfigMount


class DropFiles(Struct, frozen=True):
    """Files of configs and secrets (`ConfigMount.file_name`) that no container of the node has or will have."""

    configs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


class CreateContainer(Struct, frozen=True):
    """Made under `name`, joined to its networks, and started.

    `keep`: anonymous volumes of the container whose place it takes, as (target, volume). They are no part of the
    spec: two containers of one spec differ in them. `once`: the name of a marker, written on the node first; where it
    is already there, nothing is made: what a job does is not done twice.
    """

    name: str
    spec: ContainerSpec
    labels: Pairs
    keep: Pairs = ()
    once: str = ""


class StartContainer(Struct, frozen=True):
    id: str
    name: str


class UnpauseContainer(Struct, frozen=True):
    id: str
    name: str


class StopContainer(Struct, frozen=True):
    """`grace`: seconds between the stop signal and the kill; None for the container's own."""

    id: str
    name: str
    grace: float | None = None


class RemoveContainer(Struct, frozen=True):
    """Stopped first, with `grace`, when it runs. Anonymous volumes stay: data is not deleted by reconciling."""

    id: str
    name: str
    grace: float | None = None


class ConnectNetwork(Struct, frozen=True):
    id: str
    name: str
    attachment: Attachment


class DisconnectNetwork(Struct, frozen=True):
    id: str
    name: str
    network: str


class KeepRevision(Struct, frozen=True):
    """The revision's body on the node, so that a lost store can be rebuilt. `body`: canonical JSON.

    It holds what the playbook has in `environment`, but not the contents of `secrets`.
    """

    stack: str
    number: int
    digest: str
    body: str


class DropRevision(Struct, frozen=True):
    stack: str


class KeepAvailability(Struct, frozen=True):
    """What people decided about the node, on the node, so that a lost store can be rebuilt. `until`: of a drain."""

    availability: Availability
    until: float = 0.0


class DropMarker(Struct, frozen=True):
    """Of a job's run that is no longer remembered."""

    name: str


class ArmRevert(Struct, frozen=True):
    """The node will undo the changes of its network that follow, unless a fresh connection confirms them in time.

    `table`, `devices`, `ranges`: what of it is ours.
    """

    table: str
    devices: tuple[str, ...]
    ranges: tuple[str, ...]


class EnsureItem(Struct, frozen=True):
    """One thing of the cluster's network, made or put right on the node: `ip`, `bridge`, `wg`, `sysctl`, `iptables`."""

    item: Item


class DropItem(Struct, frozen=True):
    """One thing of the cluster's network that is not needed any more."""

    item: Item


class MakeKey(Struct, frozen=True):
    """WireGuard's private key, made on the node, which it never leaves."""


class LoadRules(Struct, frozen=True):
    """The rules of the cluster's network, put in place of the former ones at once.

    `table`: of nftables, in the families ip and bridge. `text`: for `nft -f`; "": none any more. `gone`: addresses of
    replicas that are behind none of them any more: what of UDP still goes there is forgotten. `dead`: those of them
    that nobody sees: so are connections that never got an answer there. `new`: ports of UDP that replicas answer on for
    the first time, or again: so is what went to the node itself there. `anew`: nothing of what is there is to stay.
    """

    table: str
    text: str
    gone: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    new: tuple[int, ...] = ()
    anew: bool = False

    @property
    def digest(self) -> str:
        """sha256 of the text, by which the node says what it has loaded."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class WriteHosts(Struct, frozen=True):
    """Hosts files of replicas, rewritten in place, so that containers see it at once.

    `shared`: texts that several files begin with; `files` say by number which. `drop`: files that no container has.
    """

    shared: tuple[str, ...]
    files: tuple[HostsFile, ...]
    drop: tuple[str, ...] = ()

    def text(self, file: HostsFile) -> str:
        """All that is in it."""
        return self.shared[file.shared] + "".join(f"{line}\n" for line in file.lines)

    def digest(self, file: HostsFile) -> str:
        """sha256 of its text."""
        return hashlib.sha256(self.text(file).encode()).hexdigest()


class LeaveBoot(Struct, frozen=True):
    """What brings the network back when the node boots, with no control machine: these items, and the rules loaded."""

    items: tuple[Item, ...]

    @property
    def digest(self) -> str:
        """Of what is to be brought back: the value of the `boot` item."""
        text = "\n".join(f"{item.kind} {item.key} {item.value}" for item in self.items)
        return hashlib.sha256(text.encode()).hexdigest()


Step = (
    PullImage
    | LoadHolder
    | CreateNetwork
    | RemoveNetwork
    | CreateVolume
    | RemoveVolume
    | PutConfig
    | PutSecret
    | DropFiles
    | CreateContainer
    | StartContainer
    | UnpauseContainer
    | StopContainer
    | RemoveContainer
    | ConnectNetwork
    | DisconnectNetwork
    | KeepRevision
    | DropRevision
    | KeepAvailability
    | DropMarker
    | ArmRevert
    | EnsureItem
    | DropItem
    | MakeKey
    | LoadRules
    | WriteHosts
    | LeaveBoot
)


WIRING = (ArmRevert, DropItem, EnsureItem, LeaveBoot, LoadRules, MakeKey, WriteHosts)
"""Steps on a node's part of the cluster's network."""


def verb(step: Step) -> str:
    """`create-container`: the step's name in JSON and tables."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(step).__name__).lower()


class Action(Struct, frozen=True):
    """One step on one node, with its reason.

    `routine`: what people need not hear of when it went well: it follows from something else that they do hear of.

    `id`: unique in the plan, from 1, in the order of execution. `target`: `stack/service.slot`, `stack_network`, ….
    `reason`: a CamelCase word; `detail`: a sentence. `needs`: ids of earlier actions on the same node and in the same
    wave; when one of them failed, this one is skipped.
    """

    id: int
    node: str
    target: str
    reason: str
    detail: str
    step: Step
    needs: tuple[int, ...] = ()
    routine: bool = False


class Blocked(Struct, frozen=True):
    """What can't be done, and why. Makes a pass unconverged (exit 2)."""

    target: str
    reason: str
    detail: str


class Waiting(Struct, frozen=True):
    """What only waits for time. `until`: unix seconds; None when it ends by itself (a health check)."""

    target: str
    reason: str
    detail: str
    until: float | None = None


class Notice(Struct, frozen=True):
    """What people should know and shipyard does not act on (`reason` CamelCase). Does not change convergence."""

    target: str
    reason: str
    detail: str


class Rollback(Struct, frozen=True):
    """An update that failed asks for a new revision, in which `service` is again what it was in revision `to`.

    `failed`: the stack's revision that is left. `message`: why.
    """

    stack: str
    service: str
    failed: int
    to: int
    message: str


class Plan(Struct, frozen=True):
    """`waves`: in order; a wave begins when the one before has ended everywhere. Only the first is sure: the
    others assume that each action before them succeeds.

    `unreachable`: nodes that could not be reached (exit 4). `forget`: removed stacks of which nothing is left.
    `fence`: nodes whose work could move if they were known to be off.
    `rollbacks`: revisions that the pass is to store, once `memory` is. `inspect`: nodes that should be asked for the
    details of their network, and then planned for again: what would differ is not known.
    `memory`: what to remember before acting on the first wave.
    """

    waves: tuple[tuple[Action, ...], ...] = ()
    blocked: tuple[Blocked, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    notices: tuple[Notice, ...] = ()
    unreachable: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()
    fence: tuple[str, ...] = ()
    rollbacks: tuple[Rollback, ...] = ()
    inspect: tuple[str, ...] = ()
    memory: Memory = Memory()

    @property
    def actions(self) -> tuple[Action, ...]:
        """All actions of all waves."""
        return tuple(action for wave in self.waves for action in wave)


class Status(StrEnum):
    """`unknown`: the connection broke before the node said; the next observation tells."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class Outcome(Struct, frozen=True):
    """What became of an action. `message`: the runtime's own words when it failed; `output`: what it printed.

    `reason`: those words as one (CamelCase) of `PortTaken`, `DiskFull` and so on; "" when they fit none.
    """

    action: Action
    status: Status
    message: str = ""
    output: str = ""
    started: float = 0.0
    seconds: float = 0.0
    reason: str = ""
