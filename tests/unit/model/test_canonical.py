"""The canonical form: what is on nodes and in stores is compared with it, so it must not change."""

from __future__ import annotations

import json

import pytest

from shipyard.model import canonical
from shipyard.model.container import (
    Attachment,
    ConfigMount,
    ContainerSpec,
    Healthcheck,
    Limits,
    Logging,
    Mount,
    Port,
    RestartPolicy,
    Ulimit,
)
from shipyard.model.inventory import Become, Connection
from shipyard.model.node import Availability, Node
from shipyard.model.spec import ConfigSpec, ServiceSpec, StackSpec

PLAIN = ContainerSpec("redis:7")
RICH = ContainerSpec(
    "app@sha256:" + "ab" * 32,
    environment=(("GREETING", "grüß 'dich' $HOME\n"), ("MODE", "a=b")),
    labels=(("team", "web"),),
    user="1000:1000",
    stop_grace_period=2.5,
    init=True,
    read_only=True,
    cap_add=("NET_ADMIN",),
    ulimits=(Ulimit("nofile", 1024, 2048),),
    sysctls=(("net.core.somaxconn", "1024"),),
    logging=Logging("json-file", (("max-size", "10m"),)),
    healthcheck=Healthcheck(("CMD", "true"), 30.0, 5.0, 3, 1.0),
    restart=RestartPolicy("on-failure", 1.5, 3),
    limits=Limits(cpus=0.5, memory=268435456),
    ports=(Port(80, 8080), Port(53, 53, "udp", "127.0.0.1", "host")),
    mounts=(
        Mount("volume", "/data", "s_data"),
        Mount("bind", "/etc/x", "/etc/y", True, True),
        Mount("tmpfs", "/tmp", options=(("size", "64m"),)),
    ),
    configs=(ConfigMount("c", "0" * 64, "/c", "0", "0", 0o440),),
)

GOLDEN = [
    (PLAIN, "v1:54d295f28ca7dc00"),
    (
        ContainerSpec("redis:7", command=("redis-server", "--port", "6380"), entrypoint=()),
        "v1:fe4e01b41114cdaa",
    ),
    (RICH, "v1:6150c2e08353ab31"),
]


@pytest.mark.parametrize(("spec", "value"), GOLDEN)
def test_a_hash_never_changes(spec: ContainerSpec, value: str) -> None:
    """One that does would recreate every container of everybody who upgrades."""
    assert canonical.spec_hash(spec) == value


def test_the_networks_and_the_pull_policy_are_no_part_of_the_hash() -> None:
    attached = ContainerSpec("redis:7", networks=(Attachment("s_default", ("cache",)),), pull_policy="always")
    assert canonical.spec_hash(attached) == canonical.spec_hash(PLAIN)


def test_only_what_differs_from_the_default_is_written() -> None:
    assert canonical.dumps(PLAIN) == '{"image":"redis:7"}'
    assert canonical.dumps(Node("n", availability=Availability.DRAIN)) == '{"availability":"drain","name":"n"}'


@pytest.mark.parametrize(
    "value",
    [
        PLAIN,
        RICH,
        StackSpec(
            "s",
            services=(ServiceSpec("web", RICH, variants=(("node1", PLAIN),), replicas=3),),
            configs=(ConfigSpec("s_c", "c", b"\x00\xff\n", "d" * 64),),
        ),
        Connection(address="10.0.0.1", common_args=("-o", "x y"), become=Become("admin")),
    ],
)
def test_what_was_written_is_read_back(value: object) -> None:
    text = canonical.dumps(value)
    assert canonical.loads(type(value), text) == value
    assert canonical.dumps(canonical.loads(type(value), text)) == text


def test_a_whole_number_of_seconds_is_the_same_however_it_was_written() -> None:
    whole, point = ContainerSpec("i", stop_grace_period=10), ContainerSpec("i", stop_grace_period=10.0)
    assert canonical.dumps(whole) == canonical.dumps(point)
    assert canonical.spec_hash(whole) == canonical.spec_hash(canonical.loads(ContainerSpec, canonical.dumps(whole)))


def test_keys_are_sorted_and_characters_stay() -> None:
    assert canonical.dumps(ContainerSpec("ü", user="a", command=("b",))) == '{"command":["b"],"image":"ü","user":"a"}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"image":"a","colour":"red"}', "ContainerSpec has no field colour"),
        ("{}", "image"),
        ('["a"]', "not a ContainerSpec"),
        ('{"image":"a","labels":[["a","b","c"]]}', "3 values where 2 belong"),
        ('{"image":"a","ports":[5]}', "not a ContainerSpec"),
        ("{", "Expecting"),
    ],
)
def test_what_is_no_such_value_is_a_value_error(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        canonical.loads(ContainerSpec, text)


def test_a_stack_digest_is_that_of_its_body() -> None:
    spec = StackSpec("s", services=(ServiceSpec("web", PLAIN),))
    assert canonical.stack_digest(spec) == canonical.digest(canonical.dumps(spec))
    assert json.loads(canonical.dumps(spec)) == {
        "name": "s",
        "services": [{"container": {"image": "redis:7"}, "name": "web"}],
    }
