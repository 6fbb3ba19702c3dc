"""What the version of docker changes about networks: who is let in, and whether there are IPv6 addresses to give."""

from __future__ import annotations

from typing import Any

import pytest

from shipyard.base.record import replace
from shipyard.model.canonical import stack_digest
from shipyard.model.container import Attachment, ContainerSpec
from shipyard.model.observed import ObservedNode
from shipyard.model.plan import CreateNetwork, Plan, RemoveNetwork
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import NetworkSpec, Revision, ServiceSpec, StackSpec
from shipyard.model.wire import LocalAddress, ObservedWiring, names_of
from shipyard.planner.plan import plan
from shipyard.runtime.dialects import by_name
from tests.simulated import SimulatedFleet

DEVICES = names_of("cafe")
UNPROTECTED = "--opt=com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected"
TRUSTED = "--opt=com.docker.network.bridge.trusted_host_interfaces="


class Upgraded(SimulatedFleet):
    """Its one node runs this version of this runtime."""

    runtime, version = "docker", ""

    def situation(self, stacks: tuple[DesiredStack, ...]) -> Situation:
        situation = super().situation(stacks)
        (node,) = situation.observed
        assert isinstance(node, ObservedNode)
        facts = replace(node.facts, runtime=self.runtime, runtime_version=self.version)
        return replace(situation, observed=(replace(node, facts=facts),))


def fleet(runtime: str, version: str) -> Upgraded:
    made = Upgraded(("n1",))
    made.runtime, made.version = runtime, version
    address = LocalAddress("192.0.2.1", 24, "eth0", 1500)
    tools = ("bridge", "ip", "iptables", "nft", "wg", "wireguard")
    made.nodes["n1"].wiring = ObservedWiring(
        items=(), altered=(), addresses=(address,), tools=tools, public_key="k" * 43 + "="
    )
    return made


def stack(**network: Any) -> tuple[DesiredStack, ...]:
    web = ServiceSpec("web", ContainerSpec("app:1", networks=(Attachment("s_default"),)))
    spec = StackSpec("s", (web,), (NetworkSpec("s_default", "default", **network),))
    return (DesiredStack(Revision("s", 1, spec, stack_digest(spec), 0.0, "me"), (("web", ("n1",)),)),)


def emitted(decided: Plan, runtime: str) -> list[str]:
    """Options with which the network is made, but for the bridge's name and MTU."""
    (step,) = (each.step for each in decided.actions if isinstance(each.step, CreateNetwork))
    (command,) = by_name(runtime).create_network(step.network, step.labels)
    return [
        word for word in command.argv if word.startswith("--opt=") and "bridge.name" not in word and "mtu" not in word
    ]


@pytest.mark.parametrize(
    ("version", "driver", "option"),
    [
        ("20.10.24+dfsg1", "vxlan", []),
        ("27.5.1", "routed", []),
        ("28.0.4", "vxlan", [UNPROTECTED]),
        ("28.1.1", "wireguard", [UNPROTECTED]),
        ("28.2.0", "vxlan", [TRUSTED + DEVICES.vxlan]),
        ("29.1.3", "wireguard", [TRUSTED + DEVICES.wireguard]),
        ("29.1.3", "routed", [UNPROTECTED]),
        ("28.2.0", "bridge", []),
        ("dev", "vxlan", []),
    ],
)
def test_a_network_is_made_so_that_other_nodes_reach_its_containers(
    version: str, driver: str, option: list[str]
) -> None:
    assert emitted(plan(fleet("docker", version).situation(stack(driver=driver))), "docker") == option


def test_other_runtimes_versions_say_nothing_about_that() -> None:
    assert not [
        word
        for word in emitted(plan(fleet("podman", "29.0.0").situation(stack(driver="vxlan"))), "podman")
        if "docker" in word
    ]


def test_what_the_file_says_itself_is_not_overruled() -> None:
    said = stack(driver="vxlan", driver_opts=(("com.docker.network.bridge.trusted_host_interfaces", "eth7"),))
    assert emitted(plan(fleet("docker", "28.3.0").situation(said)), "docker") == [TRUSTED + "eth7"]


def test_the_network_of_a_docker_that_was_upgraded_is_made_anew() -> None:
    upgraded = fleet("docker", "27.5.1")
    upgraded.converge(stack(driver="vxlan"))
    assert not plan(upgraded.situation(stack(driver="vxlan"))).actions
    upgraded.version = "28.3.0"
    decided = plan(upgraded.situation(stack(driver="vxlan")))
    assert any(isinstance(each.step, RemoveNetwork) for each in decided.actions)
    assert emitted(decided, "docker") == [TRUSTED + DEVICES.vxlan]


@pytest.mark.parametrize(
    ("runtime", "version", "network", "refused"),
    [
        ("docker", "20.10.24+dfsg1", {}, True),
        ("docker", "26.1.4", {"subnet": "10.9.0.0/24"}, True),
        ("docker", "20.10.24+dfsg1", {"subnet": "10.9.0.0/24", "subnet6": "fd00::/64"}, False),
        ("docker", "20.10.24+dfsg1", {"subnet": "fd00::/64"}, False),
        ("docker", "27.0.3", {}, False),
        ("docker", "", {}, False),
        ("podman", "4.3.1", {}, False),
    ],
)
def test_a_docker_that_has_no_ipv6_addresses_to_give_is_told_before_anything_is_made(
    runtime: str, version: str, network: dict[str, Any], refused: bool
) -> None:
    decided = plan(fleet(runtime, version).situation(stack(enable_ipv6=True, **network)))
    assert any(isinstance(each.step, CreateNetwork) for each in decided.actions) != refused
    assert [(each.reason, each.detail.partition(" to give ")[0]) for each in decided.blocked] == (
        [("SubnetMissing", f"the docker {version} of n1 has no IPv6 addresses")] if refused else []
    )
