"""Captured output of real runtimes, and what must be made of it. A new case is a new folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shipyard.model.canonical import from_data
from shipyard.model.observed import ContainerState, Health
from shipyard.runtime.dialect import Dialect, RuntimeState
from shipyard.runtime.dialects import by_name

CASES = Path(__file__).parents[2] / "cases" / "runtime"
FOLDERS = sorted(path.parent for path in CASES.glob("*/*/sections.json"))

ID = "0123456789abcdef" * 4
IMAGE = "f" * 64


def load(folder: Path) -> tuple[Dialect, dict[str, bytes], float]:
    captured = json.loads((folder / "sections.json").read_text())
    dialect = by_name(folder.parent.name.partition("-")[0])
    return dialect, {name: body.encode() for name, body in captured["sections"].items()}, captured["clock"]


def line(**changed: Any) -> str:
    """A container's line as the probes print it."""
    state = {"status": "running", "code": 0, "oom": False, "error": "", "started": "", "finished": "", "health": ""}
    fields = {"kind": "c", "id": ID, "name": "/web", "image": IMAGE, "restarts": 0, "labels": None}
    fields |= {"networks": [None], "mounts": [None]}
    state |= {key: value for key, value in changed.items() if key in state}
    fields |= {key: value for key, value in changed.items() if key in fields}
    return json.dumps(
        [
            *(fields[key] for key in ("kind", "id", "name", "image", "restarts")),
            list(state.values()),
            *(fields[key] for key in ("labels", "networks", "mounts")),
        ]
    )


def read(*lines: str, name: str = "docker", clock: float = 0.0, **sections: bytes) -> RuntimeState:
    body = "\n".join(lines).encode("utf-8", "surrogatepass")
    whole = {"runtime-version": b"1.2\n", "containers": b"", "networks": b"", "volumes": b"", "inspect": body}
    return by_name(name).parse({**whole, **{key.replace("_", "-"): body for key, body in sections.items()}}, clock)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_captured(folder: Path) -> None:
    dialect, sections, clock = load(folder)
    expected = from_data(RuntimeState, json.loads((folder / "expected.json").read_text()))
    assert dialect.parse(sections, clock) == expected


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_a_missing_section_is_no_empty_node(folder: Path) -> None:
    dialect, sections, clock = load(folder)
    for name in ("containers", "networks", "volumes", "inspect"):
        with pytest.raises(ValueError, match=name):
            dialect.parse({key: body for key, body in sections.items() if key != name}, clock)


def test_nothing_there() -> None:
    assert read() == RuntimeState("1.2")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("configured", ContainerState.CREATED),
        ("initialized", ContainerState.CREATED),
        ("stopped", ContainerState.EXITED),
        ("stopping", ContainerState.RUNNING),
        ("removing", ContainerState.REMOVING),
        ("dead", ContainerState.DEAD),
    ],
)
def test_podmans_states_are_dockers(status: str, state: ContainerState) -> None:
    assert read(line(status=status), "ended 0").containers[0].state == state


@pytest.mark.parametrize(
    ("said", "health"), [("", "none"), ("healthy", "healthy"), ("unhealthy", "unhealthy"), ("new word", "starting")]
)
def test_health_that_is_not_known_is_not_health(said: str, health: str) -> None:
    assert read(line(health=said), "ended 0").containers[0].health == Health(health)


def test_ages_by_the_nodes_clock_and_zone() -> None:
    box = read(
        line(started="1970-01-01T02:00:10.5+02:00", finished="0001-01-01T00:00:00Z"), "ended 0", clock=20.0
    ).containers[0]
    assert (box.age, box.ended) == (9.5, None)
    assert read(line(started="1970-01-01T00:01:00Z"), "ended 0", clock=20.0).containers[0].age == 0.0


def test_an_exit_code_only_where_something_ended() -> None:
    assert read(line(status="running", code=0), "ended 0").containers[0].exit_code is None
    assert read(line(status="exited", code=0), "ended 0").containers[0].exit_code == 0
    assert read(line(status="created", code=127), "ended 0").containers[0].exit_code == 127
    assert read(line(status="created", code=0), "ended 0").containers[0].exit_code is None


def test_the_runtimes_own_aliases_are_left_out() -> None:
    networks = [["n", [ID[:12], "web", "www", ID], "10.0.0.2", "02:00:00:00:00:01", None, ""], None]
    (attached,) = read(line(networks=networks), "ended 0").containers[0].networks
    assert attached.aliases == ("www",)


def test_a_stopped_container_shows_the_address_it_will_have() -> None:
    wished = {"IPv4Address": "10.0.0.9", "IPv6Address": "fd00::9"}
    networks = [["n", None, "", "", wished, ""], ["host", None, "", "", None, None], None]
    (attached,) = read(line(status="exited", networks=networks), "ended 0").containers[0].networks
    assert (attached.ipv4_address, attached.ipv6_address) == ("10.0.0.9", "fd00::9")


def test_an_address_of_each_family_is_told() -> None:
    networks = [["n", [], "10.0.0.2", "", None, "fd00::2"], None]
    (attached,) = read(line(networks=networks), "ended 0").containers[0].networks
    assert (attached.ipv4_address, attached.ipv6_address) == ("10.0.0.2", "fd00::2")


def test_volumes_that_nobody_named() -> None:
    mounts = [["volume", "/b", IMAGE], ["volume", "/a", ID], ["volume", "/c", "x" * 64], ["bind", "/d", ID], None]
    assert read(line(mounts=mounts), "ended 0").containers[0].anonymous == (("/a", ID), ("/b", IMAGE))


def test_files_of_ours_that_are_mounted() -> None:
    name = f"{ID}-0-0-444"
    sources = (
        f"/var/lib/shipyard/cafe/secrets/{name}",
        f"/home/x/.local/share/shipyard/cafe/configs/{name}",
        f"/srv/shipyard/site/secrets/{name}.bak",
        "/srv/shipyard/configs/site.conf",
    )
    mounts = [*(["bind", "", source] for source in sources), ["volume", "/d", sources[0]], None]
    assert read(line(mounts=mounts), "ended 0").containers[0].files == (f"configs/{name}", f"secrets/{name}")


def test_a_container_that_went_away_meanwhile() -> None:
    state = read(line(), f"Error: No such object: {IMAGE}", "ended 1")
    assert [box.name for box in state.containers] == ["web"]
    state = read(line(), f'Error: inspecting object: no such object: "{IMAGE}"', "ended 125", name="podman")
    assert [box.name for box in state.containers] == ["web"]


def test_images_that_are_missing_are_not_mixed_up() -> None:
    ids = [str(number) * 64 for number in range(3)]
    state = read(
        "asked a:1",
        "asked b",
        "asked c",
        *(f'["i","{each}",null]' for each in ids[:2]),
        "Error: No such object: b:latest",
        "ended 1",
    )
    assert [(image.reference, image.id) for image in state.images] == [
        ("a:1", f"sha256:{ids[0]}"),
        ("c", f"sha256:{ids[1]}"),
    ]


def test_warnings_are_no_failure() -> None:
    noise = 'time="2026-11-22T18:39:49Z" level=warning msg="Error validating CNI config file"'
    assert len(read(noise, line(), "ended 0").containers) == 1
    assert len(read(noise, line(), f"Error: No such object: {IMAGE}", "ended 1").containers) == 1


@pytest.mark.parametrize(
    "lines",
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "ended 1"),
        ("ended 137",),
        ("ended 1",),
        ('time="x" level=warning msg="y"', "ended 1"),
        (line(), 'template: :1:2: executing "" at <index>: error', f"Error: No such object: {IMAGE}", "ended 1"),
    ],
)
def test_a_failed_inspect_is_no_empty_node(lines: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="inspect failed"):
        read(*lines)


@pytest.mark.parametrize(
    "bad",
    [
        line()[:-3],
        "[" * 100_000,
        '["c"]',
        '["x","y"]',
        "[]",
        "[1]",
        '[{"a":1}]',
        line(id="-f"),
        line(id="../../etc"),
        line(id=ID[:12]),
        line(name="a b"),
        line(name="--all"),
        line(name=7),
        line(status="flying"),
        line(status=None),
        line(code="0"),
        line(code=True),
        line(code=1.5),
        line(restarts=None),
        line(image="sha256:xyz"),
        line(labels=["a"]),
        line(labels={"a": 1}),
        line(started="yesterday"),
        line(started="2026-99-99T00:00:00Z"),
        line(error=None),
        line(networks={"a": 1}),
        line(networks=[["n", "alias", "", "", None]]),
        line(networks=[["n", [1], "", "", None]]),
        line(networks=[["n"]]),
        line(mounts={"a": 1}),
        line(mounts=[["volume", "/data"]]),
        line(mounts=[["volume", None, IMAGE]]),
        line(networks=[[[], None, "", "", None]]),
        '["n","x","y","z",null,[null],false]',
        '["i","' + IMAGE + '",null]',
        '["c",' + "9" * 5000 + "]",
        '["c",NaN,Infinity]',
    ],
)
def test_nonsense_is_a_value_error(bad: str) -> None:
    with pytest.raises(ValueError, match=r"expected|JSON|not a time|inspect told"):
        read(bad, "ended 0")


def test_a_forged_label_stays_a_label() -> None:
    forged = f'x\n["c","{ID}"]\nended 0\nhung {ID}'
    box = read(line(labels={"evil": forged, "esc": "\x1b[2J"}), "ended 0").containers[0]
    assert box.label("evil") == forged
    assert box.label("esc") == "\x1b[2J"


def test_text_that_is_no_text_can_be_written() -> None:
    box = read(line(labels={"a": "\ud800"}, error="x" * 100_000), "ended 0").containers[0]
    assert box.labels == (("a", "?"),)
    assert len(box.error) == 2000


def test_a_log_belongs_to_its_container_and_is_bounded() -> None:
    log = b"\xff\n" * 10_000
    state = read(line(kind="c!", status="exited", code=1), "ended 0", **{f"log_{ID}": log})
    assert len(state.containers[0].log.split("\n")) == 10
    assert len(read(line(), "ended 0", **{f"log_{ID}": b"x" * 100_000}).containers[0].log) == 4096


def test_what_a_health_check_came_to_replaces_what_was_before() -> None:
    before = line(health="starting")
    after = f"{line(health='healthy')}\nended 0\n".encode()
    assert read(before, "ended 0", name="podman", health=after).containers[0].health == Health.HEALTHY
    hung = f"hung {ID}\n".encode() + after
    assert read(before, "ended 0", name="podman", health=hung).containers[0].health == Health.UNHEALTHY


def test_versions_and_rootlessness() -> None:
    podman = {"name": "podman", "runtime_version": b"podman version 5.4.2-rc1\nuid 1000\n"}
    assert (read(**podman).version, read(**podman).rootless) == ("5.4.2-rc1", True)
    docker = read(runtime_version=b"27.1 Engine containerd rootlesskit\n")
    assert (docker.version, docker.rootless) == ("27.1", True)
    assert read(runtime_version=b"").version == ""


@pytest.mark.parametrize("bad", [b"name {", b'n {"id":1} ""', b"n [1] ", b'n {"id":"x","name":"y"}', b"\xff\xfe"])
def test_nonsense_about_networks_and_volumes(bad: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected|JSON"):
        read(name="podman", networks=bad)
    with pytest.raises(ValueError, match=r"expected|JSON"):
        read(name="podman", volumes=bad)
    with pytest.raises(ValueError, match=r"expected|JSON"):
        read(volumes=bad)


def test_of_containers_that_share_a_namespace_only_its_owner_is_on_networks() -> None:
    """As docker says it; podman shows the owner's networks for each of them."""
    on = [["n", [], "10.0.0.2", "", None, ""], None]
    told = read(
        line(id="1" * 64, name="s-web-1-abcdef", networks=on),
        line(id="2" * 64, name="s-web-1-abcdef.holder", networks=on, labels={"shipyard.role": "holder"}),
        line(id="3" * 64, name="s-web-1-abcdef.log", networks=on, labels={"shipyard.role": "sidecar"}),
        line(id="4" * 64, name="other", networks=on),
    )
    assert {box.name: len(box.networks) for box in told.containers} == {
        "other": 1,
        "s-web-1-abcdef": 0,
        "s-web-1-abcdef.holder": 1,
        "s-web-1-abcdef.log": 0,
    }
