"""What passes put right on nodes that were meddled with, and what they leave alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.fleet import Fleet
from tests.lab.stacks import WEB, WITH_DATA, ids, replicas, states


def heal(fleet: Fleet) -> str:
    """A reconcile, and proof that another one would do nothing."""
    ran = fleet.shipyard("reconcile", "--timeout", "90").expect(0)
    fleet.shipyard("reconcile", "--check").expect(0)
    return ran.stdout + ran.stderr


MEDDLING = {"kill": ("kill",), "remove": ("rm", "-f"), "stop": ("stop", "-t", "0"), "pause": ("pause",)}
"""By the service whose containers it befalls."""
MEDDLED = """
- hosts: lab
  stack: shop
  services:
""" + "".join(
    f"""
    {service}:
      image: shipyard.test/busybox:1
      command: [sleep, "100000"]
      stop_grace_period: 0s
      deploy: {{mode: global}}
"""
    for service in MEDDLING
)


def test_what_befalls_containers_and_whole_nodes_is_mended(fleet: Fleet) -> None:
    fleet.write("shop.yml", MEDDLED)
    fleet.shipyard("apply", "shop.yml").expect(0)
    _containers_killed_removed_stopped_and_paused_come_back(fleet)
    _one_whose_processes_were_all_killed_is_replaced_though_podman_calls_it_running(fleet)
    _nodes_that_crash_come_back_with_their_containers(fleet)


def _containers_killed_removed_stopped_and_paused_come_back(fleet: Fleet) -> None:
    before = ids(fleet)
    assert len(before) == len(MEDDLING) * len(fleet.names)
    for name, replica in replicas(fleet).items():
        fleet.runtime_cli(replica["node"], *MEDDLING[name.partition(".")[0]], replica["container"])
    heal(fleet)
    assert set(states(fleet).values()) == {"running"}, states(fleet)
    after = ids(fleet)
    assert len(after) == len(before)
    anew = set(before.values()) - set(after.values())
    assert anew == {box for name, box in before.items() if "-remove-" in name}, "only these need a new container"


def _one_whose_processes_were_all_killed_is_replaced_though_podman_calls_it_running(fleet: Fleet) -> None:
    (node, *_) = [name for name in fleet.names if fleet.runtime(name) == "podman"]
    before = ids(fleet)
    box = next(each["container"] for each in replicas(fleet).values() if each["node"] == node)
    pids = fleet.runtime_cli(node, "inspect", "-f", "{{.State.ConmonPid}} {{.State.Pid}}", box)
    fleet.run(node, "kill", "-KILL", *pids.split())
    assert fleet.runtime_cli(node, "inspect", "-f", "{{.State.Status}}", box).strip() == "running"
    assert "its processes are gone" in heal(fleet)
    assert len(set(before.values()) - set(ids(fleet).values())) == 1


def _nodes_that_crash_come_back_with_their_containers(fleet: Fleet) -> None:
    for node in fleet.names:
        fleet.lab.kill(node)
        fleet.lab.start(node)
    heal(fleet)
    assert len(ids(fleet)) == len(MEDDLING) * len(fleet.names)
    assert set(states(fleet).values()) == {"running"}


@pytest.mark.matrix
def test_what_befalls_networks_is_mended_under_running_containers(fleet: Fleet) -> None:
    wanted = WITH_DATA.replace("replicas: 3", "mode: global")
    fleet.write("shop.yml", wanted)
    fleet.shipyard("apply", "shop.yml").expect(0)
    before = ids(fleet)
    webs = [found for name, found in replicas(fleet).items() if name.startswith("web")]
    assert len(webs) == len(fleet.names)
    for befalls in (_disconnected, _connected_with_a_wrong_alias, _its_network_removed):
        for replica in webs:
            befalls(fleet, replica["node"], replica["container"])
        heal(fleet)
        assert ids(fleet) == before, f"{befalls.__name__} needs no new container"
        for replica in webs:
            joined = _joined(fleet, replica)
            assert set(joined) == {"shop_back", "shop_default"}, befalls.__name__
            assert "shopfront" in joined["shop_default"]["Aliases"], befalls.__name__
    fleet.write("shop.yml", wanted.replace("{internal: true}", "{ipam: {config: [{subnet: 10.77.0.0/24}]}}"))
    fleet.shipyard("apply", "shop.yml", "--timeout", "90").expect(0)
    assert ids(fleet) == before, "a network declared anew is made anew"
    for replica in webs:
        assert _joined(fleet, replica)["shop_back"]["IPAddress"].startswith("10.77.0.")


def _joined(fleet: Fleet, replica: dict[str, Any]) -> dict[str, Any]:
    joined: dict[str, Any] = fleet.inspect(replica["node"], replica["container"])["NetworkSettings"]["Networks"]
    return joined


def _disconnected(fleet: Fleet, node: str, box: str) -> None:
    fleet.runtime_cli(node, "network", "disconnect", "shop_default", box)


def _connected_with_a_wrong_alias(fleet: Fleet, node: str, box: str) -> None:
    _disconnected(fleet, node, box)
    fleet.runtime_cli(node, "network", "connect", "--alias", "other", "shop_default", box)


def _its_network_removed(fleet: Fleet, node: str, _box: str) -> None:
    for box in fleet.containers(node).values():
        fleet.runtime_cli(node, "network", "disconnect", "shop_default", box)
    fleet.runtime_cli(node, "network", "rm", "shop_default")


def test_what_is_not_ours_is_not_touched(fleet: Fleet) -> None:
    """Other people's containers, networks and volumes; also when they copied our labels."""
    fleet.write("shop.yml", WEB)
    fleet.shipyard("apply", "shop.yml").expect(0)
    labels = fleet.inspect("node1", next(iter(fleet.containers("node1"))))["Config"]["Labels"]
    copied = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    for node in fleet.names:
        image = ("shipyard.test/busybox:1", "sleep", "100000")
        fleet.runtime_cli(node, "network", "create", "theirs")
        fleet.runtime_cli(node, "volume", "create", "theirs")
        fleet.runtime_cli(node, "run", "-d", "--name", "theirs", "--network", "theirs", "-v", "theirs:/d", *image)
        fleet.runtime_cli(node, "run", "-d", "--name", "forged", *copied, *image)
    before = {node: fleet.containers(node) for node in fleet.names}
    said = fleet.shipyard("reconcile", "--check", "-v").stdout
    assert "ForgedLabel" in said
    fleet.write("shop.yml", WEB.replace("GREETING", "WELCOME"))
    fleet.shipyard("apply", "shop.yml").expect(0)
    fleet.shipyard("rm", "shop", "--yes").expect(0)
    for node in fleet.names:
        left = {name: box for name, box in before[node].items() if name in ("theirs", "forged")}
        assert fleet.containers(node) == left
        assert "theirs" in fleet.runtime_cli(node, "network", "ls", "--format", "{{.Name}}")
        assert "theirs" in fleet.runtime_cli(node, "volume", "ls", "--format", "{{.Name}}")


def test_an_unreachable_node_is_neither_empty_nor_in_the_way(fleet: Fleet) -> None:
    fleet.write("shipyard.toml", "[timeouts]\nconnect = 2\n")
    fleet.write("shop.yml", WEB)
    fleet.shipyard("apply", "shop.yml").expect(0)
    before = ids(fleet)
    fleet.lab.cut("node2")
    here = next(iter(fleet.containers("node1").values()))
    fleet.runtime_cli("node1", "rm", "-f", here)
    ran = fleet.shipyard("reconcile").expect(4)
    assert "node2" in ran.stdout + ran.stderr
    assert len(fleet.containers("node1")) == 1, "what could be done elsewhere was done"
    assert {node: len(fleet.containers(node)) for node in fleet.names} == dict.fromkeys(fleet.names, 1)
    status = fleet.shipyard("status", "-o", "json").json
    states_ = {node["name"]: node["state"] for node in status["nodes"]}
    assert states_["node2"] in ("suspect", "unreachable")
    assert status["converged"] is False
    fleet.lab.join("node2")
    heal(fleet)
    after = ids(fleet)
    assert len(after) == 3
    assert len(set(before.values()) & set(after.values())) == 2


@pytest.mark.matrix
def test_a_lost_volume_is_reported_and_not_begun_anew(fleet: Fleet) -> None:
    fleet.write("shop.yml", WITH_DATA)
    fleet.shipyard("apply", "shop.yml").expect(0)
    found = replicas(fleet)["web.1"]
    fleet.runtime_cli(found["node"], "rm", "-f", found["container"])
    fleet.runtime_cli(found["node"], "volume", "rm", "shop_data")
    ran = fleet.shipyard("reconcile").expect(2)
    assert "VolumeLost" in ran.stdout + ran.stderr
    assert "shop_data" not in fleet.runtime_cli(found["node"], "volume", "ls", "--format", "{{.Name}}").split()
    mistyped = fleet.shipyard("reconcile", "--accept-empty", "shop_dta").expect(5).stderr
    assert "no volume is called shop_dta" in mistyped and "shop_data" in mistyped
    fleet.shipyard("reconcile", "--accept-empty", "shop_data").expect(0)
    assert "shop_data" in fleet.runtime_cli(found["node"], "volume", "ls", "--format", "{{.Name}}").split()


@pytest.mark.matrix
def test_a_container_that_crashes_again_and_again_is_held_back(fleet: Fleet) -> None:
    fleet.write("shop.yml", WEB.replace('[httpd, -f, -p, "8080", -h, /]', '[sh, -c, "echo last words; exit 3"]'))
    ran = fleet.shipyard("apply", "shop.yml", "--timeout", "10").expect(2)
    said = ran.stdout + ran.stderr
    assert "last words" in said or "last words" in fleet.shipyard("events").stdout
    reasons = {replica["reason"] for replica in replicas(fleet).values()}
    assert reasons & {"BackOff", "CrashLoopBackOff"}, (
        "held back by a pass, or left to wait beside the runtime's attempts"
    )
    assert reasons <= {"BackOff", "Restarting", "CrashLoopBackOff", "Exited", None}, "None: at work for this moment"


@pytest.mark.parametrize("test", ["true", "false"])
def test_health_decides(fleet: Fleet, test: str) -> None:
    check = f"""
      healthcheck: {{test: [CMD, \"{test}\"], interval: 1s, retries: 2, timeout: 2s}}
"""
    fleet.write("shop.yml", WEB + check)
    ran = fleet.shipyard("apply", "shop.yml", "--timeout", "8" if test == "false" else "60")
    health = {replica["health"] for replica in replicas(fleet).values()}
    if test == "true":
        ran.expect(0)
        assert health == {"healthy"}
    else:
        ran.expect(2)
        assert "Unhealthy" in ran.stdout + ran.stderr
