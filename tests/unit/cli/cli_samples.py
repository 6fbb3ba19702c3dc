"""A plan and a fleet as nodes and files with bad intentions would have them, for the tests of rendering."""

from shipyard.model.container import ContainerSpec
from shipyard.model.event import Event
from shipyard.model.outlook import Fullness, NodeOutlook, Outlook, ReplicaOutlook
from shipyard.model.plan import (
    Action,
    Blocked,
    CreateContainer,
    CreateNetwork,
    DisconnectNetwork,
    KeepRevision,
    Notice,
    Plan,
    PullImage,
    RemoveContainer,
    Step,
    Waiting,
)
from shipyard.model.spec import NetworkSpec
from shipyard.model.status import FleetStatus, NodeStatus, PassSummary, ReplicaStatus, ServiceStatus, StackStatus

NOW = 1_795_000_000.0
ESCAPES = "\x1b[31mred\x1b[0m \x9b2J\u202etxet\x07"
MARKUP = "[red]not red[/red] [link=http://x]y[/link]"
WIDE = "日本語のメッセージ"
LONG = "no space left on device while extracting the layer sha256:0123456789abcdef0123456789abcdef0123456789abcdef"


def action(number: int, node: str, target: str, step: Step, reason: str = "Missing", detail: str = "") -> Action:
    return Action(number, node, target, reason, detail, step)


def create(name: str = "web-1-abcdef") -> CreateContainer:
    return CreateContainer(name, ContainerSpec("nginx"), ())


def plan() -> Plan:
    """Two waves, a removal, a replacement, something blocked, waiting and to be known; hostile words in all of them."""
    network = NetworkSpec("guestbook_default", "default")
    labels = (("shipyard.stack", "guestbook"),)
    image = PullImage("docker.io/library/nginx:1.27")
    first = (
        action(
            1, "node1", "guestbook/old.1", RemoveContainer("aa", "o"), "NotDeclared", "no file declares it any more"
        ),
        action(2, "node1", image.image, image, "ImageMissing", "guestbook/web.1 needs it"),
        action(3, "node1", "guestbook_default", CreateNetwork(network, labels)),
        action(4, "node1", "guestbook/web.1", create(), "Missing", f"no container {ESCAPES} {MARKUP}"),
        action(5, "node2", "guestbook/db.1", RemoveContainer("bb", "d"), "SpecChanged", LONG),
        action(6, "node2", "guestbook/db.1", create(), "SpecChanged", "environment: POSTGRES_DB"),
    )
    second = (
        action(7, "knoten-東京", "guestbook/web.2", DisconnectNetwork("cc", "w", "other"), "Rewire", WIDE),
        action(8, "node1", "guestbook", KeepRevision("guestbook", 3, "d", "{}"), "NewRevision", "revision 3"),
    )
    return Plan(
        waves=(first, second),
        blocked=(
            Blocked("guestbook/db.2", "Unschedulable", "0 of 3 nodes fit: 2 lack memory (needs 4 GiB), 1 is drained"),
        ),
        waiting=(Waiting("guestbook/web.3", "BackOff", f"{ESCAPES} {MARKUP}", NOW + 42),),
        notices=(Notice("node3", "Orphaned", "no inventory names it any more"),),
    )


def fleet() -> FleetStatus:
    """Three nodes, one silent; two stacks, one replica failing with hostile words, one waiting, one on a lost node."""
    web = ServiceStatus(
        "web",
        "replicated",
        desired=3,
        running=2,
        healthy=1,
        update="updating",
        image="nginx:1.27",
        replicas=(
            ReplicaStatus(
                1, "node1", "running", "healthy", "a" * 64, "guestbook-web-1-3fa9c1", 3, (("default", "10.210.1.2"),)
            ),
            ReplicaStatus(
                2,
                "knoten-東京",
                "running",
                "starting",
                "b" * 64,
                "guestbook-web-2-77aa01",
                2,
                (("back", "10.210.2.2"), ("default", "10.210.1.3")),
                4,
            ),
            ReplicaStatus(3, "node1", "pending", reason="BackOff", detail=f"{ESCAPES} {MARKUP} {WIDE}"),
        ),
    )
    db = ServiceStatus("db", "replicated", 1, 0, 0, "completed", "redis", (_unknown(),))
    off = ServiceStatus("off", "replicated", 0, 0, 0, "completed", "busybox")
    return FleetStatus(
        converged=False,
        last_pass=PassSummary(12, NOW - 70, NOW - 65, "changed"),
        nodes=(
            NodeStatus("knoten-東京", "ready", "active", "podman", "10.0.0.12", (("disk", "ssd"),), 5, NOW),
            NodeStatus("node1", "ready", "drain", "docker", "10.0.0.11", (), 3, NOW),
            NodeStatus(
                "node3",
                "unreachable",
                "active",
                None,
                "10.0.0.13",
                (),
                None,
                NOW - 300,
                "Unreachable",
                f"{ESCAPES} {LONG}",
            ),
        ),
        stacks=(StackStatus("guestbook", 3, (db, off, web)),),
        changes=2,
        blocked=(Blocked("guestbook_net", "NetworkInUse", "another stack uses it"),),
        waiting=(Waiting("guestbook/web.3", "BackOff", "", NOW + 42),),
        notices=(Notice("node1", "ClockSkew", "its clock is 90 s ahead"),),
        now=NOW,
    )


def _unknown() -> ReplicaStatus:
    return ReplicaStatus(1, "node3", "unknown", reason="Unreachable", detail="node3: no route to host")


def outage() -> Event:
    return Event(NOW, "NodeUnreachable", "node3", f"no answer {ESCAPES}", "node3", warning=True)


def outlook() -> Outlook:
    """A node less, and a service that is scaled up."""
    gib = 2**30
    return Outlook(
        replicas=(
            ReplicaOutlook("guestbook/db.1", "unschedulable", "node3", None, f"0 of 2 nodes fit: {MARKUP} 2 are full"),
            ReplicaOutlook("guestbook/web.1", "stays", "node1", "node1"),
            ReplicaOutlook("guestbook/web.2", "moves", "node3", "node2"),
            ReplicaOutlook("guestbook/web.3", "new", None, "node1"),
            ReplicaOutlook("guestbook/old.1", "removed", "node1", None),
        ),
        nodes=(
            NodeOutlook("node1", "ready", "", 4, 8 * gib, Fullness(2, 0.5, gib), Fullness(2, 1, 2 * gib)),
            NodeOutlook("node2", "drain", "", 0, 0, Fullness(0, 0, 0), Fullness(1, 0.25, gib // 2)),
            NodeOutlook("node3", "ready", "gone", 4, 8 * gib, Fullness(2, 0.5, gib), Fullness()),
        ),
        notices=(Notice("guestbook/web.2", "Evicts", "takes the place of guestbook/batch.1 on node2"),),
    )
