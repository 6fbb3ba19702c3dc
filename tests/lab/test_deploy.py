"""From a playbook to running containers, and from a changed playbook to changed ones."""

from __future__ import annotations

from tests.lab.fleet import Fleet
from tests.lab.stacks import WEB, WITH_DATA, ids, replicas

PRINT = ("sh", "-c", 'echo "$GREETING"')


def test_deploys_over_three_nodes_and_then_rests(fleet: Fleet) -> None:
    fleet.write("shop.yml", WEB)
    planned = fleet.shipyard("plan", "shop.yml", "-o", "json").expect(0).json
    assert ids(fleet) == {}
    fleet.shipyard("apply", "shop.yml").expect(0)
    made = ids(fleet)
    assert len(made) == 3
    assert {replica["node"] for replica in replicas(fleet).values()} == set(fleet.names)
    created = [action for action in planned["actions"] if action["action"] == "create-container"]
    assert {action["target"] for action in created} == {"shop/web.1", "shop/web.2", "shop/web.3"}
    for slot, replica in replicas(fleet).items():
        said = fleet.runtime_cli(replica["node"], "exec", replica["container"], *PRINT)
        assert said == 'it\'s  $HOME "quoted" ü\n', slot
    again = fleet.shipyard("apply", "shop.yml").expect(0)
    assert "Nothing to do" in again.stdout + again.stderr
    fleet.shipyard("reconcile").expect(0)
    fleet.shipyard("reconcile", "--check").expect(0)
    assert ids(fleet) == made
    assert len(fleet.shipyard("history", "shop", "-o", "json").json) == 1
    status = fleet.shipyard("status", "-o", "json").json
    assert status["converged"] is True
    assert status["stacks"][0]["services"][0]["running"] == 3


def test_a_changed_declaration_changes_what_runs(fleet: Fleet) -> None:
    fleet.write("shop.yml", WITH_DATA)
    fleet.shipyard("apply", "shop.yml").expect(0)
    _it_recreates_what_it_changes_and_keeps_the_data(fleet)
    _a_service_dropped_goes_with_its_networks(fleet)
    _a_label_changed_recreates(fleet)


def _it_recreates_what_it_changes_and_keeps_the_data(fleet: Fleet) -> None:
    before = ids(fleet)
    for replica in (found for name, found in replicas(fleet).items() if name.startswith("web")):
        fleet.runtime_cli(replica["node"], "exec", replica["container"], "sh", "-c", "echo kept >/data/file")
    fleet.write(
        "shop.yml",
        WITH_DATA.replace("GREETING:", "WELCOME:").replace("replicas: 3", "replicas: 3\n        labels: {a: b}"),
    )
    check = fleet.shipyard("apply", "--check", "shop.yml").expect(10)
    assert "environment changed since revision 1" in check.stdout + check.stderr
    fleet.shipyard("apply", "shop.yml").expect(0)
    after = ids(fleet)
    assert set(before.values()) & set(after.values()) == {
        identity for name, identity in before.items() if "jobless" in name
    }
    for replica in (found for name, found in replicas(fleet).items() if name.startswith("web")):
        assert replica["revision"] == 2
        said = fleet.runtime_cli(replica["node"], "exec", replica["container"], "cat", "/data/file")
        assert said == "kept\n"


def _a_service_dropped_goes_with_its_networks(fleet: Fleet) -> None:
    fleet.write("shop.yml", WEB + "      labels: {tier: front}\n")
    text = fleet.shipyard("plan", "shop.yml").expect(0).stdout
    assert text.index("shop/jobless.1") < text.index("shop/web.1"), "removals come first"
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert not [name for name in ids(fleet) if "jobless" in name]
    for node in fleet.names:
        assert "shop_back" not in fleet.runtime_cli(node, "network", "ls", "--format", "{{.Name}}").split()
        volumes = fleet.runtime_cli(node, "volume", "ls", "--format", "{{.Name}}").split()
        assert "shop_data" in volumes, "reconciling deletes no data"


def _a_label_changed_recreates(fleet: Fleet) -> None:
    before = ids(fleet)
    assert len(before) == 3
    fleet.write("shop.yml", WEB + "      labels: {tier: back}\n")
    fleet.shipyard("apply", "shop.yml").expect(0)
    assert not set(before.values()) & set(ids(fleet).values())
    for replica in replicas(fleet).values():
        assert fleet.inspect(replica["node"], replica["container"])["Config"]["Labels"]["tier"] == "back"


def test_rm_removes_the_stack_and_only_the_volumes_that_are_named(fleet: Fleet) -> None:
    fleet.write(
        "shop.yml",
        WITH_DATA.replace("  volumes: {data: {}}", "  volumes: {data: {}, more: {}}").replace(
            '["data:/data"]', '["data:/data", "more:/more"]'
        ),
    )
    fleet.shipyard("apply", "shop.yml").expect(0)
    fleet.shipyard("rm", "shop", "--volumes", "data", "--yes").expect(0)
    assert ids(fleet) == {}
    for node in fleet.names:
        assert fleet.runtime_cli(node, "volume", "ls", "--format", "{{.Name}}").split() == ["shop_more"]
        assert "shop_" not in fleet.runtime_cli(node, "network", "ls", "--format", "{{.Name}}")
    assert fleet.shipyard("status", "-o", "json").json["stacks"] == []


def test_limit_acts_only_there_and_places_as_if_there_were_none(fleet: Fleet) -> None:
    fleet.write("shop.yml", WEB)
    fleet.shipyard("apply", "shop.yml", "--limit", "node2", "--timeout", "60")
    assert len(ids(fleet)) == 1
    assert len(fleet.containers("node2")) == 1
    fleet.shipyard("reconcile").expect(0)
    assert {node: len(fleet.containers(node)) for node in fleet.names} == dict.fromkeys(fleet.names, 1)


def test_what_fails_says_why_and_holds_up_nobody_else(fleet: Fleet) -> None:
    fleet.run("node1", "sh", "-c", "nc -l -p 8099 >/dev/null 2>&1 & sleep 0.2", check=False)
    fleet.write(
        "shop.yml",
        WEB
        + """
    nopull: {image: "shipyard.test/none:1"}
    nobind:
      image: shipyard.test/busybox:1
      command: [sleep, "1000"]
      volumes: [{type: bind, source: /does/not/exist, target: /x}]
""",
    )
    ran = fleet.shipyard("apply", "shop.yml", "--timeout", "6").expect(2)
    said = ran.stdout + ran.stderr
    assert "ImagePullFailed" in said
    assert "/does/not/exist" in said
    found = replicas(fleet)
    assert [found[f"web.{slot}"]["state"] for slot in (1, 2, 3)] == ["running"] * 3
    assert found["nopull.1"]["reason"] == "BackOff"
    events = fleet.shipyard("events").stdout
    assert "ImagePullFailed" in events
    assert "/does/not/exist" in events
