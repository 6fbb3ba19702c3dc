"""Nerdctl's answers in the form its documentation gives. Not captured: it has not run for real yet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shipyard.model.container import Attachment, ContainerSpec
from shipyard.model.observed import ContainerState
from shipyard.runtime.dialect import RuntimeState, Unsupported
from shipyard.runtime.dialects import by_name

ID = "ab" * 32
CONTAINER: dict[str, Any] = {
    "Id": ID,
    "Name": "web-1",
    "Image": "registry.example/web:1",
    "RestartCount": 2,
    "State": {"Status": "exited", "ExitCode": 3, "FinishedAt": "1970-01-01T00:00:05Z"},
    "Config": {"Labels": {"shipyard.cluster": "c"}},
    "NetworkSettings": {"Networks": {"n": {"IPAddress": "10.4.0.2", "MacAddress": "02:00:00:00:00:02"}}},
}


def read(**changed: Any) -> RuntimeState:
    said = {
        "runtime-version": "nerdctl version 2.0.3\n",
        "containers": "",
        "inspect": json.dumps([CONTAINER], indent=4),
        "networks": json.dumps(
            [{"Name": "n", "Id": ID, "Labels": None, "IPAM": {"Config": [{"Subnet": "10.4.0.0/24"}]}}]
        ),
        "volumes": json.dumps([{"Name": "v", "Labels": {"a": "b"}}]),
        "images": f"asked a:1\n{json.dumps([{'Id': 'sha256:' + ID, 'RepoDigests': ['a@b']}])}\nasked b:1\n",
    } | {key.replace("_", "-"): value for key, value in changed.items()}
    return by_name("nerdctl").parse({name: body.encode() for name, body in said.items()}, 10.0)


def test_what_is_there() -> None:
    state = read()
    (box,) = state.containers
    assert (box.name, box.state, box.exit_code, box.restarts, box.ended) == ("web-1", ContainerState.EXITED, 3, 2, 5.0)
    assert (box.networks[0].network, box.networks[0].ipv4_address) == ("n", "10.4.0.2")
    assert (state.version, state.networks[0].subnets) == ("2.0.3", ("10.4.0.0/24",))
    assert (state.volumes[0].name, state.volumes[0].labels) == ("v", (("a", "b"),))
    assert [(image.reference, image.digests) for image in state.images] == [("a:1", ("a@b",))]


def test_what_is_printed_twice_is_read_once() -> None:
    twice = json.dumps([CONTAINER]) + "\n" + json.dumps([CONTAINER])
    assert len(read(inspect=twice).containers) == 1


@pytest.mark.parametrize("bad", ["[", "[1]", '[{"Id": "-f"}]', '"x"', "[" * 100_000, '[{"State": []}]'])
def test_nonsense_is_a_value_error(bad: str) -> None:
    for name in ("inspect", "networks", "volumes"):
        with pytest.raises(ValueError, match="."):  # noqa: RUF043 - any words will do
            read(**{name: bad})


def test_what_it_can_not_do() -> None:
    spec = ContainerSpec("a:1", networks=(Attachment("n", ("web",)),))
    with pytest.raises(Unsupported, match="aliases"):
        by_name("nerdctl").create_container("web-1", spec, (), {})
    with pytest.raises(Unsupported, match="networks"):
        by_name("nerdctl").disconnect("web-1", "n")
