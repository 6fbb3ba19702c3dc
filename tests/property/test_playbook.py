"""Whatever people write: it is either taken byte for byte, or refused with its place, and never breaks the reader."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipyard.base.errors import FileErrors, ShipyardError
from shipyard.base.record import replace
from shipyard.files.compose import dotenv, words
from shipyard.files.compose.service import SERVICE
from shipyard.files.playbook import load, merge
from shipyard.files.playbook.play import PLAY
from shipyard.model import canonical
from shipyard.model.container import ContainerSpec
from shipyard.model.inventory import Group, Host, Inventory
from shipyard.model.spec import ServiceSpec, StackSpec
from tests.playbook_project import Project

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    with tempfile.TemporaryDirectory() as folder:
        yield Project(Path(folder))


def playbook(service: dict[str, Any]) -> str:
    return yaml_text([{"hosts": "all", "stack": "shop", "services": {"web": service}}])


def yaml_text(data: Any) -> str:
    """JSON is YAML, and leaves no doubt about what is a text; but for its surrogate pairs, which YAML does not have."""
    text = json.dumps(data, ensure_ascii=False)
    return "".join(char if " " <= char <= "~" else f"\\U{ord(char):08x}" for char in text)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
plain = texts.filter(lambda text: not any(mark in text for mark in ("{{", "{%", "{#")))
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | plain | st.just("{{ port }}") | st.just("{{ nope }}")
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3), max_leaves=8
)


@given(
    command=st.lists(plain, min_size=1), environment=st.dictionaries(st.from_regex(r"[A-Z_]+", fullmatch=True), plain)
)
def test_what_was_written_arrives_byte_for_byte(
    project: Project, command: list[str], environment: dict[str, str]
) -> None:
    service = {"image": "nginx", "command": command, "environment": environment, "labels": {"note": "".join(command)}}
    container = project.load(playbook(service)).stack("shop").services[0].container
    assert container.command == tuple(command)
    assert dict(container.environment) == environment
    assert dict(container.labels) == {"note": "".join(command)}


@given(key=st.sampled_from(sorted(SERVICE.keys)), value=values)
def test_any_value_of_any_key_is_taken_or_refused_with_its_place(project: Project, key: str, value: Any) -> None:
    try:
        loaded = project.load(playbook({"image": "nginx", key: value}))
    except FileErrors as error:
        assert all(problem.line == 1 and problem.key for problem in error.errors)
        assert "\x1b" not in str(error)
    else:
        for stack in loaded.stacks:
            assert canonical.loads(StackSpec, canonical.dumps(stack)) == stack


@given(play=st.dictionaries(st.sampled_from(sorted(PLAY.keys)) | plain, values, max_size=5))
def test_any_play_is_taken_or_refused(project: Project, play: dict[str, Any]) -> None:
    try:
        project.load(yaml_text([{"hosts": "all", "stack": "shop", **play}]))
    except ShipyardError as error:
        assert str(error)


@given(text=st.text(max_size=60) | st.text("- :{}[]&*!|>'\"\n\t#ahosts", max_size=60))
def test_any_text_as_a_playbook_is_refused_or_taken(project: Project, text: str) -> None:
    try:
        project.load(text.encode(errors="replace").decode())
    except ShipyardError as error:
        assert str(error)


@given(racks=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6))
def test_each_node_gets_what_it_would_get_alone(project: Project, racks: list[str]) -> None:
    hosts = tuple(Host(f"n{i}", ("all",), {"rack": rack}) for i, rack in enumerate(racks))
    path = project.folder / "playbooks" / "each.yml"
    path.write_text(playbook({"image": "nginx:{{ rack }}", "environment": {"IN": "{{ where | default(rack) }}"}}))

    def service(chosen: tuple[Host, ...]) -> ServiceSpec:
        inventory = Inventory(chosen, (Group("all", tuple(host.name for host in chosen)),))
        return load([path], inventory=inventory, project=project.folder).stacks[0].services[0]

    together = service(hosts)
    for host in hosts:
        alone = service((host,))
        assert together.container_on(host.name) == alone.container
        assert alone.per_node and alone.rendered == (host.name,)
        assert alone.reached == together.reached == ("rack", "where")
    assert together.per_node and together.rendered == tuple(sorted(host.name for host in hosts))
    assert service(hosts[::-1]) == together


specs = st.builds(
    lambda name, image, file, tags: ServiceSpec(name, ContainerSpec(image), file=file, tags=tuple(sorted(tags))),
    st.sampled_from("abcd"),
    st.sampled_from(["x", "y"]),
    st.just("a.yml"),
    st.sets(st.sampled_from(["t", "u"])),
)
stacks = st.lists(specs, max_size=4, unique_by=lambda spec: spec.name).map(
    lambda found: StackSpec("shop", tuple(sorted(found, key=lambda spec: spec.name)))
)


@given(mine=stacks, theirs=stacks, tags=st.sets(st.sampled_from(["t", "u"])), prune=st.booleans())
def test_merging_twice_changes_nothing_more(mine: StackSpec, theirs: StackSpec, tags: set[str], prune: bool) -> None:
    others = StackSpec("shop", tuple(replace(spec, file="b.yml") for spec in theirs.services))
    once = merge(others, mine, files=["a.yml"], tags=sorted(tags), prune=prune)
    again = merge(once.stack, mine, files=["a.yml"], tags=sorted(tags), prune=prune)
    assert again.stack == once.stack and again.dropped == ()
    if not tags:
        assert {spec for spec in once.stack.services if spec.file == "a.yml"} == set(mine.services)
        left = {spec.name for spec in once.stack.services if spec.file == "b.yml"}
        declared = {spec.name for spec in mine.services}
        assert left == (set() if prune else {spec.name for spec in others.services} - declared)


@given(text=st.text("ab '\"\\$`();&|<>\n\t#", max_size=20))
def test_any_command_splits_or_is_refused(text: str) -> None:
    try:
        assert all(isinstance(word, str) for word in words.split(text))
    except ValueError as error:
        assert str(error)


@given(text=st.text("AB=: '\"\\${}:-?+#\n", max_size=30))
def test_any_environment_file_is_read_or_refused(text: str) -> None:
    for parse in (dotenv.parse, dotenv.parse_raw):
        found: dict[str, str] = {}
        try:
            parse(text, found, {"A": "1"}.get)
        except ValueError as error:
            assert str(error).startswith("line ")
        assert all(name and not name.isspace() for name in found)
