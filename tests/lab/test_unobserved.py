"""Nodes that answer and can't be observed: never taken for empty, never for lost, and in nobody's way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager

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


@contextmanager
def the_wrong_password(fleet: Fleet) -> Iterator[None]:
    """Meanwhile sudo on node1, where we are no root, is given another one."""
    _inventory(fleet, "not-it")
    yield
    _inventory(fleet, OPERATOR)


def _inventory(fleet: Fleet, password: str) -> None:
    become = f"{{ansible_user: {OPERATOR}, ansible_become: true, ansible_become_password: {password}}}"
    fleet.write("sudo.yml", f"lab: {{hosts: {{node1: {become}}}}}\n")


def are_left_alone(
    fleet: Fleet, troubles: Mapping[str, tuple[str, AbstractContextManager[None]]], said_of: str
) -> None:
    """Through several passes: the nodes are named with the reason, the other one is healed, and nothing moves."""

    def run(*args: str) -> Ran:
        return fleet.shipyard("-i", "sudo.yml", *args)

    before = {name: fleet.containers(name) for name in fleet.names}
    (other,) = set(fleet.names) - set(troubles)
    with ExitStack() as stack:
        for _, trouble in troubles.values():
            stack.enter_context(trouble)
        fleet.runtime_cli(other, "rm", "-f", *fleet.containers(other))
        for _ in range(2):
            ran = run("reconcile")
            assert ran.code == 2, (said_of, ran)
            said = ran.stdout + ran.stderr
            for node, (reason, _trouble) in troubles.items():
                assert any(node in line and reason in line for line in said.splitlines()), (said_of, node, said)
            assert "\x1b" not in said, said_of
            assert "Traceback" not in said, said_of
            assert len(fleet.containers(other)) == 1, f"{said_of}: what could be done elsewhere was done"
        found = {each["name"]: each for each in run("status", "-o", "json").json["nodes"]}
        for node in troubles:
            assert (found[node]["state"], found[node]["containers"]) == ("unobserved", None), said_of
    for node in troubles:
        assert fleet.containers(node) == before[node], said_of
    healed = ids(fleet)
    ran = run("reconcile")
    assert ran.code == 0, (said_of, ran)
    assert ids(fleet) == healed, said_of


PAIRS = (
    ("fails", "prints nonsense"),
    ("prints nothing", "fails"),
    ("prints nonsense", "hangs"),
    ("prints without end", "hangs"),
)
"""Of troubles: podman's, and docker's at the same time; the third node is healed meanwhile."""


def test_what_can_not_be_observed_is_left_alone(fleet: Fleet) -> None:
    _, two = _deployed(fleet)
    script, reason = BROKEN["fails"]
    troubles = {
        "node1": ("did not accept the password", the_wrong_password(fleet)),
        two: (reason, runtime_that(fleet, two, script)),
    }
    are_left_alone(fleet, troubles, "sudo has a wrong password, and docker fails")


@pytest.mark.matrix
def test_what_can_not_be_observed_for_other_reasons_is_left_alone(fleet: Fleet) -> None:
    one, two = _deployed(fleet)
    for podman, docker in PAIRS:
        troubles = {
            node: (BROKEN[trouble][1], runtime_that(fleet, node, BROKEN[trouble][0]))
            for node, trouble in ((one, podman), (two, docker))
        }
        are_left_alone(fleet, troubles, f"podman {podman}, and docker {docker}")


def _deployed(fleet: Fleet) -> tuple[str, str]:
    """A node of podman, and one of docker."""
    fleet.write("shipyard.toml", EAGER)
    fleet.write("shop.yml", WEB)
    _inventory(fleet, OPERATOR)
    fleet.shipyard("-i", "sudo.yml", "apply", "shop.yml").expect(0)
    one, two = (
        next(name for name in fleet.names if fleet.runtime(name) == runtime) for runtime in ("podman", "docker")
    )
    return one, two


@pytest.mark.matrix
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
