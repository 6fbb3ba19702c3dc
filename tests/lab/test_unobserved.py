"""Nodes that answer and can't be observed: never taken for empty, never for lost, and in nobody's way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from shipyard.lab.disk import OPERATOR
from tests.lab.fleet import Fleet, Ran
from tests.lab.stacks import WEB, ids

EAGER = """
[timeouts]
observe = 5
[timing]
unreachable_after = 0.1
lost_after = 0.1
"""
"""Nodes that are silent twice would be lost: so soon that a node taken for one would show."""

BROKEN = {
    "fails": ("echo 'Error: database is locked \\033[31m' >&2; exit 125", "database is locked"),
    "prints nonsense": ('echo \'{"Containers": [{"Id": 7}\'', "can't be understood"),
    "prints nothing": ("exit 0", ""),
    "prints without end": ("exec yes '{}'", ""),
    "hangs": ("exec sleep 4700", ""),
}
"""What a runtime may do in place of its work, and words that stand in the reason."""


@contextmanager
def runtime_that(fleet: Fleet, node: str, script: str) -> Iterator[None]:
    """Meanwhile the node's runtime is this shell script."""
    place = f'"$(command -v {fleet.runtime(node)})"'
    fleet.run(node, "sh", "-c", 'printf "#!/bin/sh\\n$1\\n" >/run/shim && chmod 755 /run/shim', "sh", script)
    fleet.run(node, "sh", "-c", f"mount --bind /run/shim {place}")
    try:
        yield
    finally:
        fleet.run(node, "sh", "-c", f"umount {place}; rm /run/shim")


def is_left_alone(
    fleet: Fleet,
    node: str,
    trouble: Callable[[], AbstractContextManager[None]],
    reason: str,
    run: Callable[..., Ran],
) -> None:
    """Through several passes: the node is named with the reason, the others are healed, and nothing moves."""
    fleet.write("shipyard.toml", EAGER)
    fleet.write("shop.yml", WEB)
    run("apply", "shop.yml").expect(0)
    before = {name: fleet.containers(name) for name in fleet.names}
    other = next(name for name in fleet.names if name != node and fleet.runtime(name) == "podman")
    with trouble():
        fleet.runtime_cli(other, "rm", "-f", *fleet.containers(other))
        for _ in range(2):
            ran = run("reconcile")
            assert ran.code == 2, ran
            said = ran.stdout + ran.stderr
            assert node in said
            assert reason in said
            assert "\x1b" not in said
            assert "Traceback" not in said
            assert len(fleet.containers(other)) == 1, "what could be done elsewhere was done"
        found = {each["name"]: each for each in run("status", "-o", "json").json["nodes"]}
        assert found[node]["state"] == "unobserved"
        assert found[node]["containers"] is None
    after = {name: fleet.containers(name) for name in fleet.names}
    assert {name: found for name, found in after.items() if name != other} == {
        name: found for name, found in before.items() if name != other
    }
    healed = ids(fleet)
    run("reconcile").expect(0)
    assert ids(fleet) == healed


@pytest.mark.parametrize(
    ("runtime", "trouble"),
    [
        ("podman", "fails"),
        ("podman", "prints nonsense"),
        ("docker", "prints nonsense"),
        ("podman", "prints nothing"),
        ("docker", "prints nothing"),
        ("podman", "prints without end"),
        ("docker", "hangs"),
    ],
)
def test_a_broken_runtime(fleet: Fleet, runtime: str, trouble: str) -> None:
    node = next(name for name in fleet.names if fleet.runtime(name) == runtime)
    script, reason = BROKEN[trouble]
    is_left_alone(fleet, node, lambda: runtime_that(fleet, node, script), reason, fleet.shipyard)


def test_a_wrong_sudo_password(fleet: Fleet) -> None:
    def inventory(password: str) -> None:
        become = f"{{ansible_user: {OPERATOR}, ansible_become: true, ansible_become_password: {password}}}"
        fleet.write("sudo.yml", f"lab: {{hosts: {{node1: {become}}}}}\n")

    @contextmanager
    def wrong() -> Iterator[None]:
        inventory("not-it")
        yield
        inventory(OPERATOR)

    inventory(OPERATOR)
    is_left_alone(
        fleet, "node1", wrong, "did not accept the password", lambda *args: fleet.shipyard("-i", "sudo.yml", *args)
    )


def test_what_nodes_print_never_steers_a_terminal(fleet: Fleet) -> None:
    """Logs, last words, labels, and names that others gave to containers."""
    escape = "\\033]0;owned\\007\\033[31mred\\033[2J\\n"
    words = f"""[sh, -c, "printf '{escape}'; printf '{escape}' >&2; exit 3"]""".replace("\\", "\\\\")
    fleet.write("shop.yml", WEB.replace('[httpd, -f, -p, "8080", -h, /]', words))
    applied = fleet.shipyard("apply", "shop.yml", "--timeout", "6").expect(2)
    box = next(iter(fleet.containers("node1")))
    labels = fleet.inspect("node1", box)["Config"]["Labels"] | {"shipyard.revision": "\x1b[31m1", "x": "\x1b]0;x\x07"}
    forged = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    fleet.runtime_cli("node1", "run", "-d", "--name", "forged", *forged, "shipyard.test/busybox:1", "sleep", "100000")
    commands = ("status", "events", "nodes", "reconcile --check -v", "logs shop")
    said = {command: fleet.shipyard(*command.split()) for command in commands}
    shown = [applied, *said.values()]
    text = "".join(ran.stdout + ran.stderr for ran in shown)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\x9b" not in text
    assert "red" in said["logs shop"].stdout, "the words themselves are shown"
    assert "red" in said["events"].stdout + said["status"].stdout
