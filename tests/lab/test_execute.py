"""Scripts on real nodes: every step does what it says, and what people wrote is in the container byte for byte."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shipyard.base.errors import Unreachable
from shipyard.base.record import replace
from shipyard.lab.lab import Lab
from shipyard.model.container import Attachment, ConfigMount, Mount
from shipyard.model.observed import ContainerState, ObservedNode, Silent
from shipyard.model.plan import (
    Action,
    ConnectNetwork,
    CreateNetwork,
    CreateVolume,
    DisconnectNetwork,
    DropRevision,
    KeepRevision,
    PullImage,
    PutConfig,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    Status,
    StopContainer,
)
from shipyard.model.spec import ConfigSpec, NetworkSpec, VolumeSpec
from shipyard.observe.kept import read_kept
from shipyard.observe.probe import NodeRequest
from tests.lab.acting import CLUSTER, FENCE, LABELS, Acting, create, steps
from tests.lab.fleet import Fleet

NASTY = "a 'b' \"c\" $HOME `id` \\ = # ü\n\tsecond; line,  "


@pytest.fixture
def acting(fleet: Fleet, shared_lab: Lab) -> Iterator[Acting]:
    acting = Acting.on(shared_lab)
    with acting.fleet:
        yield acting


def everything(node: str) -> list[Action]:
    content = bytes(range(256))
    config = ConfigSpec("t_conf", "conf", content, "d" * 64)
    mount = ConfigMount("t_conf", "d" * 64, "/etc/conf", uid="12", gid="34", mode=0o440)
    network = NetworkSpec("t_net", "net")
    box = create(
        "t-web-1-abc",
        command=("sh", "-c", 'printf "%s" "$0" >/said; exec sleep 1000', NASTY),
        environment=(("VALUE", NASTY),),
        configs=(mount,),
        mounts=(Mount("volume", "/data", "t_data"),),
        networks=(Attachment("t_net", ("web",)),),
    )
    return steps(
        node,
        CreateNetwork(network, LABELS),
        CreateVolume(VolumeSpec("t_data", "data"), LABELS),
        PutConfig(config, mount),
        box,
        KeepRevision("t", 4, "ab" * 32, '{"name":"t"}'),
    )


def test_a_wave_makes_all_that_a_replica_needs_on_every_node(acting: Acting) -> None:
    actions = [action for node in acting.names for action in everything(node)]
    actions = [
        replace(action, id=number, needs=tuple(number - 1 for _ in action.needs))
        for number, action in enumerate(actions, start=1)
    ]
    outcomes = acting.must(actions)
    for node in acting.names:
        (made,) = (each for each in outcomes if each.action.node == node and each.action.id % 5 == 4)
        seen = acting.seen(node)
        (box,) = seen.containers
        assert (box.id, box.name, box.state) == (made.output, "t-web-1-abc", ContainerState.RUNNING)
        assert [network.network for network in box.networks] == ["t_net"]
        assert [network.name for network in seen.networks] == ["t_net"]
        assert [volume.name for volume in seen.volumes] == ["t_data"]
        assert seen.configs == (f"{'d' * 64}-12-34-440",)
        assert [(held.stack, held.number) for held in seen.revisions] == [("t", 4)]
        assert (seen.owner, seen.epoch) == (FENCE.store_uuid, FENCE.epoch)
        assert acting.inside(node, box.name, "cat /said") == NASTY
        assert acting.inside(node, box.name, 'printf %s "$VALUE"') == NASTY
        assert acting.inside(node, box.name, "stat -c '%u %g %a' /etc/conf") == "12 34 440\n"
        assert acting.inside(node, box.name, "od -An -v -tu1 /etc/conf").split() == [str(n) for n in range(256)]


@pytest.mark.parametrize("runtime", ["podman", "docker"])
def test_a_container_inherits_nothing_of_the_script(acting: Acting, runtime: str) -> None:
    node = acting.name_of(runtime)
    acting.must(steps(node, create("t-web-1-abc")))
    status = acting.inside(node, "t-web-1-abc", "cat /proc/1/status")
    ignored = next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn"))
    assert int(ignored, 16) == 0
    assert acting.inside(node, "t-web-1-abc", "ls /proc/1/fd").split() == ["0", "1", "2"]
    acting.must(steps(node, StopContainer("t-web-1-abc", "t-web-1-abc", 0)), replace(FENCE, wait=0))


@pytest.mark.parametrize("runtime", ["podman", "docker"])
def test_each_step_can_be_taken_back(acting: Acting, runtime: str) -> None:
    node = acting.name_of(runtime)
    acting.must(everything(node))
    seen = acting.seen(node)
    box, network = seen.containers[0], seen.networks[0]
    acting.must(steps(node, StopContainer(box.id, box.name, 1)))
    assert acting.container(node, box.name).state == ContainerState.EXITED
    acting.must(steps(node, StartContainer(box.id, box.name), DisconnectNetwork(box.id, box.name, "t_net")))
    assert acting.container(node, box.name).state == ContainerState.RUNNING
    assert acting.container(node, box.name).networks == ()
    acting.must(steps(node, ConnectNetwork(box.id, box.name, Attachment("t_net", ("web",)))))
    assert "web" in acting.container(node, box.name).networks[0].aliases
    acting.must(
        steps(
            node,
            RemoveContainer(box.id, box.name, 0),
            RemoveNetwork(network.id, network.name),
            RemoveVolume("t_data"),
            DropRevision("t"),
        )
    )
    after = acting.seen(node)
    assert (after.containers, after.networks, after.volumes, after.revisions) == ((), (), (), ())


@pytest.mark.parametrize("runtime", ["podman", "docker"])
def test_what_can_not_be_done_is_said_in_the_runtimes_words(acting: Acting, runtime: str) -> None:
    node = acting.name_of(runtime)
    first = steps(node, PullImage("127.0.0.1:1/nothing:1"), create("t-a-1-abc", image="127.0.0.1:1/nothing:1"))
    other = steps(node, create("t-b-1-abc"), first=3)
    outcomes = acting.act([*first, *other])
    assert [outcome.status for outcome in outcomes] == [Status.FAILED, Status.SKIPPED, Status.DONE]
    assert "127.0.0.1:1" in outcomes[0].message
    assert [box.name for box in acting.seen(node).containers] == ["t-b-1-abc"]


def test_what_is_foreign_is_not_even_seen(acting: Acting) -> None:
    for node in acting.lab.nodes:
        acting.lab.run(
            node.name, [node.runtime, "run", "-d", "--name", "foreign", "shipyard.test/busybox:1", "sleep", "99"]
        )
        acting.lab.run(node.name, [node.runtime, "volume", "create", "foreign"])
        seen = acting.seen(node.name, NodeRequest("", CLUSTER, node.runtime))
        assert (seen.containers, seen.volumes, seen.networks) == ((), (), ())


def test_runtimes_are_found_and_each_node_has_an_id_of_its_own(acting: Acting) -> None:
    found = acting.look()
    assert all(isinstance(node, ObservedNode) for node in found), found
    facts = {node.name: node.facts for node in found if isinstance(node, ObservedNode)}
    assert {name: each.runtime for name, each in facts.items()} == {n.name: n.runtime for n in acting.lab.nodes}
    assert len({each.node_id for each in facts.values()}) == len(facts)
    assert all(each.user == "root" and each.runtime_version and not each.rootless for each in facts.values())


def test_one_machine_under_two_names_has_one_id(shared_lab: Lab, fleet: Fleet) -> None:
    name = fleet.names[0]
    acting = Acting.on(shared_lab, aliases={"twin": name})
    with acting.fleet:
        first, second = acting.look(name, "twin")
    assert isinstance(first, ObservedNode)
    assert isinstance(second, ObservedNode)
    assert first.facts.node_id == second.facts.node_id != ""


@pytest.mark.matrix
def test_a_node_that_is_cut_off_is_missed_and_holds_up_no_other(acting: Acting) -> None:
    first, *others = acting.names
    acting.look()
    acting.fleet.close()
    acting.lab.cut(first)
    found = acting.look()
    assert isinstance(found[0], Silent)
    assert (found[0].connected, found[0].kind) == (False, "Unreachable")
    assert all(isinstance(node, ObservedNode) for node in found[1:])
    wave = [action for n, node in enumerate(acting.names) for action in steps(node, create("t-a-1-abc"), first=n + 1)]
    outcomes = acting.act(wave)
    assert [outcome.status for outcome in outcomes] == [Status.SKIPPED, *[Status.DONE] * len(others)]


@pytest.mark.parametrize("runtime", ["podman", "docker"])
def test_a_runtime_that_does_not_answer_is_no_empty_node(acting: Acting, runtime: str) -> None:
    node = acting.name_of(runtime)
    acting.must(steps(node, create("t-a-1-abc")))
    where = "/usr/local/bin/" + runtime
    script = (
        f"cp -p {where} /tmp/kept 2>/dev/null; printf '#!/bin/sh\\necho no storage today >&2\\nexit 125\\n' >{where}; "
    )
    acting.lab.run(node, ["sh", "-c", script + f"chmod 755 {where}"])
    try:
        (found,) = acting.look(node, request=NodeRequest("", CLUSTER, runtime))
    finally:
        acting.lab.run(node, ["sh", "-c", f"rm -f {where}; mv /tmp/kept {where} 2>/dev/null"])
    assert isinstance(found, Silent)
    assert (found.connected, found.kind) == (True, "RuntimeBroken")
    assert "no storage today" in found.message
    assert acting.container(node, "t-a-1-abc").state == ContainerState.RUNNING


def test_revisions_come_back_from_the_nodes(acting: Acting) -> None:
    actions = [
        Action(number, node, "t", "Test", "", KeepRevision("t", 4, "ab" * 32, '{"name":"t","x":"ü\\n"}'))
        for number, node in enumerate(acting.names, start=1)
    ]
    acting.must(actions)
    kept = read_kept(acting.fleet, acting.names)
    for node in acting.names:
        found = kept[node]
        assert not isinstance(found, Unreachable)
        assert isinstance(found, tuple)
        (cluster,) = found
        assert (cluster.cluster, cluster.owner, cluster.epoch) == (CLUSTER, FENCE.store_uuid, FENCE.epoch)
        assert [(each.stack, each.number, each.body) for each in cluster.revisions] == [
            ("t", 4, '{"name":"t","x":"ü\\n"}')
        ]
