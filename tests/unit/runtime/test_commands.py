"""The steps beside making a container, as command lines."""

from __future__ import annotations

import pytest

from shipyard.base.errors import UsageError
from shipyard.model.container import Attachment
from shipyard.model.spec import NetworkSpec, VolumeSpec
from shipyard.runtime.dialect import Unsupported
from shipyard.runtime.dialects import NAMES, by_name

OURS = (("shipyard.cluster", "c"),)


def test_only_known_runtimes() -> None:
    assert [by_name(name).name for name in NAMES] == list(NAMES)
    with pytest.raises(UsageError, match="lxc"):
        by_name("lxc")


def test_pulling_asks_no_registry_for_what_is_there() -> None:
    (command,) = by_name("docker").pull("a b'c", "linux/arm64", always=False)
    assert command.argv[:2] == ("sh", "-c")
    assert "a b" not in command.argv[2]
    assert command.argv[3:] == ("sh", "a b'c", "pull", "--quiet", "--platform=linux/arm64", "a b'c")
    (command,) = by_name("podman").pull("a:1", None, always=True)
    assert command.argv == ("podman", "pull", "--quiet", "a:1")


def test_stopping_has_its_time_in_whole_seconds() -> None:
    (command,) = by_name("docker").stop("x", 2.1)
    assert command.argv == ("docker", "stop", "-t", "3", "x")
    (command,) = by_name("podman").stop("x", 2.1)
    assert command.argv[3:] == ("sh", "x", "-t", "3")


def test_removing_lets_it_end_and_keeps_anonymous_volumes() -> None:
    stop, remove = by_name("docker").remove("x", 5)
    assert stop.argv == ("docker", "stop", "-t", "5", "x")
    assert remove.argv == ("docker", "rm", "--force", "x")
    (remove,) = by_name("podman").remove("x", 5)
    assert remove.argv == ("podman", "rm", "--force", "--time=5", "x")
    assert by_name("podman").remove("x", None)[0].argv == ("podman", "rm", "--force", "x")


def test_networks() -> None:
    network = NetworkSpec(
        "s_n",
        "n",
        driver="bridge",
        driver_opts=(("mtu", "1450"),),
        internal=True,
        attachable=True,
        subnet="10.0.0.0/24",
        gateway="10.0.0.1",
        ip_range="10.0.0.0/28",
        labels=(("a", "b"),),
    )
    (command,) = by_name("docker").create_network(network, OURS)
    assert command.argv == (
        "docker",
        "network",
        "create",
        "--driver=bridge",
        "--opt=mtu=1450",
        "--internal",
        "--attachable",
        "--subnet=10.0.0.0/24",
        "--gateway=10.0.0.1",
        "--ip-range=10.0.0.0/28",
        "--label=a=b",
        "--label=shipyard.cluster=c",
        "s_n",
    )
    (command,) = by_name("podman").create_network(network, OURS)
    assert "--attachable" not in command.argv  # all of podman's are
    assert "--ipv6" not in command.argv


@pytest.mark.parametrize("runtime", ["docker", "podman"])
def test_a_network_of_both_families(runtime: str) -> None:
    network = NetworkSpec(
        "s_n",
        "n",
        enable_ipv6=True,
        subnet="10.0.0.0/24",
        gateway="10.0.0.1",
        subnet6="fd00::/64",
        gateway6="fd00::1",
    )
    (command,) = by_name(runtime).create_network(network, OURS)
    assert [word for word in command.argv if word.startswith(("--subnet", "--gateway", "--ipv6"))] == [
        "--ipv6",
        "--subnet=10.0.0.0/24",
        "--gateway=10.0.0.1",
        "--subnet=fd00::/64",
        "--gateway=fd00::1",
    ]


def test_joining_a_network() -> None:
    attachment = Attachment("n", ("a",), "10.0.0.2", "fd00::2", "02:00:00:00:00:02")
    (podman,) = by_name("podman").connect("x", attachment)
    assert podman.argv[3:] == (
        "--alias=a",
        "--ip=10.0.0.2",
        "--ip6=fd00::2",
        "--mac-address=02:00:00:00:00:02",
        "n",
        "x",
    )
    (docker,) = by_name("docker").connect("x", attachment)
    assert docker.argv[3:] == ("--alias=a", "--ip=10.0.0.2", "--ip6=fd00::2", "n", "x")
    with pytest.raises(Unsupported):
        by_name("nerdctl").connect("x", attachment)


def test_volumes() -> None:
    volume = VolumeSpec("s_v", "v", driver="local", driver_opts=(("type", "nfs"),), labels=(("a", "b,c"),))
    (command,) = by_name("podman").create_volume(volume, OURS)
    assert command.argv[3:] == (
        "--driver=local",
        "--opt=type=nfs",
        '--label="a=b,c"',
        "--label=shipyard.cluster=c",
        "s_v",
    )
    (command,) = by_name("docker").create_volume(volume, OURS)
    assert "--label=a=b,c" in command.argv


def test_running_a_command_in_a_container() -> None:
    command = by_name("docker").execute(
        "x", ("--rm", "-f"), tty=True, stdin=True, user="1", env=(("A", "secret"), ("PATH", "/x"))
    )
    assert command.argv == (
        "docker",
        "exec",
        "--tty",
        "--interactive",
        "--user=1",
        "--env=A",
        "--env=PATH=/x",
        "x",
        "--rm",
        "-f",
    )
    assert command.env == (("A", "secret"),)


def test_logs() -> None:
    command = by_name("podman").logs("x", tail=5, since="1h", follow=True, timestamps=True)
    assert command.argv == ("podman", "logs", "--tail=5", "--since=1h", "--follow", "--timestamps", "x")
