"""Kubernetes manifests: what they come to, and what those are told that can't be taken."""

from __future__ import annotations

import io
import json
import random
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from shipyard.base.errors import FileErrors, ShipyardError, UsageError
from shipyard.base.record import replace
from shipyard.cli.app import App
from shipyard.cli.main import run
from shipyard.files import kinds
from shipyard.files.composefile import writing
from shipyard.files.kubernetes import bodies, per_node, together
from shipyard.files.playbook import LoadedFiles
from shipyard.model.spec import ServiceSpec, StackSpec
from tests.playbook_project import INVENTORY

CASES = Path(__file__).parents[2] / "cases" / "kubernetes"
GUESTBOOK = CASES / "guestbook"


def cases(name: str) -> list[Any]:
    return yaml.safe_load((CASES / name).read_text())


def load(paths: list[Path], **wish: Any) -> LoadedFiles:
    project = paths[0] if paths[0].is_dir() else paths[0].parent
    return kinds.load(paths, kinds.Wish(**wish), inventory=INVENTORY, project=project)


def services(loaded: LoadedFiles) -> dict[str, ServiceSpec]:
    return {service.name: service for stack in loaded.stacks for service in stack.services}


def said(text: str, folder: Path, **wish: Any) -> str:
    """The message that a manifest gives, without the name of its folder."""
    path = folder / "app.yaml"
    path.write_text(text)
    try:
        load([path], **wish)
    except ShipyardError as error:
        return str(error).replace(f"{folder}/", "")
    return "no error"


@pytest.mark.parametrize("case", cases("bad.yml"), ids=lambda case: case["what"])
def test_what_bad_manifests_are_told(case: dict[str, Any], tmp_path: Path) -> None:
    assert said(case["file"], tmp_path) == case["says"]
    assert f"{case['says']}".startswith("app.yaml")


def test_there_are_enough_bad_ones() -> None:
    assert len({case["what"] for case in cases("bad.yml")}) >= 80


@pytest.mark.parametrize("case", cases("good.yml"), ids=lambda case: case["what"])
def test_what_manifests_come_to(case: dict[str, Any], tmp_path: Path) -> None:
    """The play's body, which then has to be one that can be read, and all that is said."""
    path = tmp_path / "app.yaml"
    path.write_text(case["file"])
    whole = together([path], kinds.Wish(), project=tmp_path)
    made = {part.stack: json.loads(json.dumps(part.data)) for part in whole.parts}
    assert made == case["gives"]
    loaded = load([path])
    assert [notice.replace(f"{tmp_path}/", "") for notice in loaded.notices] == case.get("says", [])


def test_the_guestbook_plans_to_its_containers() -> None:
    loaded = load([GUESTBOOK])
    (stack,) = loaded.stacks
    assert stack.name == "default"
    assert loaded.files == ("frontend.yaml", "redis-follower.yaml", "redis-leader.yaml")
    assert [(network.name, network.driver) for network in stack.networks] == [("default_default", None)]
    made = [(each.name, each.replicas, each.container.image, each.file) for each in stack.services]
    google = "us-docker.pkg.dev/google-samples/containers/gke"
    assert made == [
        ("frontend", 3, f"{google}/gb-frontend:v5", "frontend.yaml"),
        ("redis-follower", 2, f"{google}/gb-redis-follower:v2", "redis-follower.yaml"),
        ("redis-leader", 1, "docker.io/redis:6.0.5", "redis-leader.yaml"),
    ]
    assert [each.published for each in stack.services[0].container.ports] == [80]
    assert loaded.notices == ()


@pytest.mark.parametrize("name", ["guestbook", "shop"])
def test_manifests_are_the_same_as_a_compose_file(name: str, tmp_path: Path) -> None:
    """Container by container, and all else, where both say the same."""
    compose = tmp_path / "compose.yaml"
    compose.write_text((CASES / f"{name}.compose.yaml").read_text())
    manifests = load([GUESTBOOK if name == "guestbook" else CASES / "shop.yaml"])
    theirs = load([compose])
    expected = services(theirs)
    for service, spec in services(manifests).items():
        assert spec.container == expected[service].container, service
        assert replace(spec, file="") == replace(expected[service], file=""), service
    assert nameless(manifests) == nameless(theirs)


def test_namespaces_are_stacks(tmp_path: Path) -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: {0}}}\n"
    pod += "spec: {{containers: [{{name: a, image: a}}]}}\n"
    path = tmp_path / "app.yaml"
    path.write_text("---\n".join(pod.format(name) for name in ("blue", "green")))
    assert [stack.name for stack in load([path]).stacks] == ["blue", "green"]
    with pytest.raises(UsageError, match="--stack red is one name, and there are 2 namespaces: blue, green"):
        load([path], stack="red")
    path.write_text(pod.format("blue"))
    assert [stack.name for stack in load([path], stack="red").stacks] == ["red"]


def test_standard_input_and_json_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "a", "image": "a"}]},
    }
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod]}, indent=1)

    class Input:
        buffer = io.BytesIO(text.encode())

    monkeypatch.setattr("sys.stdin", Input())
    piped = kinds.load([Path("-")], inventory=INVENTORY, project=tmp_path)
    (tmp_path / "pod.json").write_text(text)
    filed = load([tmp_path])
    assert [each.file for each in services(piped).values()] == ["-"]
    assert replace(services(piped)["web"], file="") == replace(services(filed)["web"], file="")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no Compose file and no manifest"):
        load([tmp_path])
    (tmp_path / "empty.yaml").write_text("# nothing yet\n---\n\n")
    with pytest.raises(UsageError, match="holds no Compose file and no manifest"):
        load([tmp_path])
    (tmp_path / "a.yaml").write_text("- hosts: all\n  stack: a\n")
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n")
    with pytest.raises(UsageError, match=r"a\.yaml is a playbook and .*b\.yaml is a Kubernetes manifest"):
        load([tmp_path])


@pytest.mark.parametrize(
    ("name", "build"), [("kustomization.yaml", "kubectl kustomize"), ("Chart.yaml", "helm template")]
)
def test_folders_of_what_is_still_to_be_built(name: str, build: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("resources: [a.yaml]\n")
    with pytest.raises(UsageError, match="which is no manifest yet") as caught:
        load([tmp_path])
    assert caught.value.hint == f"{build} {tmp_path} | shipyard apply -"


def test_strict_takes_what_is_said_for_errors(tmp_path: Path) -> None:
    text = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - name: a\n    image: a\n"
        "    envFrom:\n    - secretRef: {name: keys}\n---\n"
        "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {password: hunter2}\n"
    )
    assert said(text, tmp_path) == "no error"
    shown = said(text, tmp_path, strict=True)
    assert shown.startswith(
        "app.yaml:9: spec.containers[0].envFrom[0].secretRef: puts the Secret keys into the environment"
    )
    assert "hunter2" not in shown


def test_variables_with_a_secrets_content_are_hidden_whatever_they_are_called(tmp_path: Path) -> None:
    """Also in a container beside the first, and where `$(NAME)` puts the content into another text."""
    text = """
        apiVersion: v1
        kind: Secret
        metadata: {name: keys}
        stringData: {one: canary-1, two: canary-2}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: web}
        spec:
          containers:
          - name: main
            image: a
            envFrom: [{secretRef: {name: keys}}]
            env:
            - {name: two, value: plain}
            - {name: USER, valueFrom: {secretKeyRef: {name: keys, key: one}}}
            - {name: OPTIONS, value: "--user=$(USER)"}
            - {name: AGAIN, value: "$(OPTIONS) $$(USER)"}
            - {name: LITERAL, value: "$$(USER) $(two)"}
          - name: beside
            image: b
            env: [{name: USER, valueFrom: {secretKeyRef: {name: keys, key: one}}}]
    """
    path = tmp_path / "app.yaml"
    path.write_text(textwrap.dedent(text))
    (stack,) = load([path]).stacks
    main, beside = stack.services[0].containers()
    assert main.hidden == ("AGAIN", "OPTIONS", "USER", "one")
    assert beside.hidden == ("USER",)


def test_contents_of_secrets_are_in_no_message(tmp_path: Path) -> None:
    for entry in (
        "data: {a: hunter2!}",
        "stringData: {a: [hunter2]}",
        "data: {a: [hunter2]}",
        "data: {/: aHVudGVyMg==}",
    ):
        text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\n{entry}\n"
        shown = said(text, tmp_path)
        assert shown != "no error"
        assert "hunter2" not in shown


def test_all_errors_of_all_files_are_said_at_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        text = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: []}}\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(FileErrors) as caught:
        load([tmp_path])
    assert [Path(error.file).name for error in caught.value.errors] == ["a.yaml", "b.yaml"]


@pytest.mark.parametrize("case", cases("good.yml"), ids=lambda case: case["what"])
def test_what_is_converted_declares_the_same(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "app.yaml"
    path.write_text(case["file"])
    whole = together([path], kinds.Wish(), project=tmp_path)
    stacks = bodies(whole)
    expected = load([path])
    written = {"play.yml": writing.plays(stacks, "all", whole.notices)}
    if not per_node(stacks):
        ((name, data),) = stacks.items()
        written["compose.yaml"] = writing.compose(name, data, whole.notices)
    for name, text in written.items():
        (tmp_path / name).write_text(text)
        again = load([tmp_path / name])
        assert nameless(again) == nameless(expected), text


def nameless(loaded: LoadedFiles) -> list[StackSpec]:
    """What is declared, without the names of files."""
    return [
        replace(stack, services=tuple(replace(each, file="") for each in stack.services)) for stack in loaded.stacks
    ]


ODD: tuple[Any, ...] = (
    None,
    "",
    0,
    -1,
    1.5,
    True,
    [],
    {},
    [None],
    [{}],
    {"a": None},
    {"": 1},
    "x" * 300,
    10**30,
)
"""What stands where something else is due."""


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at this place."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = changed(copy[path[0]], path[1:], value)
    return copy


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_written_gives_a_message_with_its_place(seed: int, tmp_path: Path) -> None:
    """Manifests with something odd somewhere in them are taken, or told where: never anything but that."""
    chance = random.Random(seed)
    good = [list(yaml.safe_load_all(case["file"])) for case in cases("good.yml")]
    refused = 0
    for _ in range(150):
        documents = list(chance.choice(good))
        which = chance.randrange(len(documents))
        place = chance.choice(places(documents[which]))
        documents[which] = changed(documents[which], place, chance.choice(ODD))
        path = tmp_path / "app.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        try:
            load([path])
        except FileErrors as error:
            refused += 1
            assert all(each.file == str(path) for each in error.errors), place
        except UsageError:  # the first document tells no manifest any more
            assert len(place) < 2, place
    assert refused > 50


@pytest.mark.thorough
def test_a_folder_of_five_hundred_manifests(tmp_path: Path) -> None:
    text = (GUESTBOOK / "frontend.yaml").read_text()
    for number in range(250):
        own = text.replace("frontend", f"frontend{number}").replace("LoadBalancer", "ClusterIP")
        (tmp_path / f"{number}.yaml").write_text(own)
    assert len(services(load([tmp_path]))) == 250


def test_convert_and_init_take_manifests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(GUESTBOOK, tmp_path / "guestbook")
    assert run(["init", "--from", "guestbook"], App({}, tmp_path)) == 0
    (play,) = yaml.safe_load((tmp_path / "default.yml").read_text())
    assert (play["hosts"], play["stack"], len(play["services"])) == ("all", "default", 3)
    capsys.readouterr()
    assert run(["convert", "guestbook", "--hosts", "web"], App({}, tmp_path)) == 0
    (again,) = yaml.safe_load(capsys.readouterr().out)
    assert again == {**play, "hosts": "web"}
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: NAME}\nspec: {containers: [{name: a, image: a}]}\n"
    (tmp_path / "two.yaml").write_text(pod.replace("NAME", "blue") + "---\n" + pod.replace("NAME", "green"))
    assert run(["convert", "two.yaml", "--to", "compose"], App({}, tmp_path)) != 0
    assert "there are 2 namespaces: blue, green" in capsys.readouterr().err
    assert run(["convert", "two.yaml", "--profile", "x"], App({}, tmp_path)) != 0
    assert "--profile" in capsys.readouterr().err
