"""Compose files as they are: what Docker Compose makes of them, and what bad ones are told."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from shipyard.base.errors import FileErrors, ShipyardError, UsageError
from shipyard.base.record import replace
from shipyard.files import composefile, kinds
from shipyard.files.composefile import writing
from shipyard.files.playbook import LoadedFiles
from shipyard.model.hiding import holds_secrets
from tests.playbook_project import INVENTORY

CASES = Path(__file__).parents[2] / "cases" / "compose"
COMPOSE = shutil.which("docker-compose")


def cases(name: str) -> list[Any]:
    return yaml.safe_load((CASES / name).read_text())


def written(case: dict[str, Any], folder: Path) -> list[Path]:
    """The files of a case on disk; those to be given."""
    whole = case.get("file") or yaml.safe_dump({"services": {"web": {"image": "nginx", **case.get("web", {})}}})
    files = {"compose.yaml": whole, **({"over.yaml": case["over"]} if "over" in case else {}), **case.get("beside", {})}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return [folder / "compose.yaml", *([folder / "over.yaml"] if "over" in case else [])]


def load(paths: list[Path], case: dict[str, Any], **more: Any) -> LoadedFiles:
    wish = kinds.Wish(profiles=tuple(case.get("profiles", ())), **more)
    environ = case.get("env", {})
    return kinds.load(paths, wish, inventory=INVENTORY, project=paths[0].parent, environ=environ)


def bare(loaded: LoadedFiles) -> Any:
    """What is declared, without the name of the file; secrets by their contents."""
    (stack,) = loaded.stacks
    secrets = [(each.name, each.content and each.content.reveal()) for each in loaded.secrets[stack.name]]
    return replace(stack, services=tuple(replace(each, file="") for each in stack.services)), secrets


def composed(case: dict[str, Any], paths: list[Path]) -> str:
    """What the real program says of the files."""
    command = [str(COMPOSE), *(word for path in paths for word in ("-f", str(path)))]
    command += [word for profile in case.get("profiles", ()) for word in ("--profile", profile)]
    environ = {"PATH": os.environ["PATH"], "HOME": str(paths[0].parent), **case.get("env", {})}
    done = subprocess.run(
        [*command, "config", "--format", "json"], capture_output=True, text=True, env=environ, check=False
    )
    assert done.returncode == 0, f"{case['what']}: {done.stderr}"
    return done.stdout


@pytest.mark.thorough
@pytest.mark.skipif(COMPOSE is None, reason="needs docker-compose, which the extra dev brings")
def test_it_is_what_compose_makes_of_it(tmp_path: Path) -> None:
    """Compose's own normal form of the files declares the same as the files do."""
    todo = []
    for number, case in enumerate(cases("good.yml")):
        folder = tmp_path / f"p{number}"
        folder.mkdir()
        todo.append((case, written(case, folder)))
    with ThreadPoolExecutor(3) as pool:
        normal = list(pool.map(lambda each: composed(*each), todo))
    different = []
    for (case, paths), text in zip(todo, normal, strict=True):
        other = paths[0].parent / "normal.json"
        other.write_text(text)
        try:
            ours, theirs = bare(load(paths, case)), bare(load([other], case))
        except ShipyardError as error:
            different.append(f"{case['what']}: {error}")
            continue
        if ours != theirs:
            different.append(f"{case['what']}:\n  {ours}\n  {theirs}")
    assert not different, "\n".join(different)


def expression(chance: random.Random, depth: int = 0) -> str:
    """A text with variables in every form, nested. A, B are set, E is empty, U and V are not set."""
    parts = []
    for _ in range(chance.randint(1, 3)):
        name, word = chance.choice("ABEUV"), chance.choice(("x", " y ", "$$", "-", ":", "z.1"))
        if depth < 3 and chance.random() < 0.5:
            operator = chance.choice((":-", "-", ":+", "+"))
            parts.append(f"${{{name}{operator}{expression(chance, depth + 1)}}}")
        else:
            parts.append(chance.choice((word, f"${{{name}}}", f"${name}.")))
    return "".join(parts)


@pytest.mark.thorough
@pytest.mark.skipif(COMPOSE is None, reason="needs docker-compose, which the extra dev brings")
def test_random_interpolations_are_composes(tmp_path: Path) -> None:
    chance = random.Random(7)
    said = {f"V{number}": expression(chance) for number in range(400)}
    case = {"what": "random", "web": {"environment": said}, "env": {"A": "a", "B": "b b", "E": ""}}
    paths = written(case, tmp_path)
    normal = json.loads(composed(case, paths))["services"]["web"]["environment"]
    ours = dict(load(paths, case).stacks[0].services[0].container.environment)
    theirs = {name: value.replace("$$", "$") for name, value in normal.items()}
    assert {name: (said[name], ours[name]) for name in ours if ours[name] != theirs[name]} == {}
    assert len(ours) == len(said)


def test_what_is_converted_declares_the_same(tmp_path: Path) -> None:
    """As a playbook and as a Compose file, both beside the files that they were made from."""
    for number, case in enumerate(cases("good.yml")):
        folder = tmp_path / f"p{number}"
        folder.mkdir()
        paths = written(case, folder)
        environ, wish = case.get("env", {}), kinds.Wish(profiles=tuple(case.get("profiles", ())))
        whole = composefile.together(paths, wish, project=folder, environ=environ)
        expected = bare(load(paths, case))
        for name, text in (
            ("play.yml", writing.playbook(whole.name, "all", whole.data, whole.notices)),
            ("again.yaml", writing.compose(whole.name, whole.data, whole.notices)),
        ):
            (folder / name).write_text(text)
            again = kinds.load([folder / name], inventory=INVENTORY, project=folder, environ=environ)
            assert bare(again) == expected, f"{case['what']}: {text}"


def test_files_of_a_relative_bind_are_sent_by_their_content(tmp_path: Path) -> None:
    case = {
        "web": {"volumes": ["./html:/srv:ro", {"type": "bind", "source": "a.conf", "target": "/etc/a.conf"}]},
        "beside": {"html/index.html": "one", "html/sub/run.sh": "two", "a.conf": "three"},
    }
    paths = written(case, tmp_path)
    (tmp_path / "html/sub/run.sh").chmod(0o755)
    (tmp_path / "html/empty").mkdir()
    loaded = load(paths, case)
    before = loaded.stacks[0]
    mounts = before.services[0].container.configs
    assert [(mount.target, mount.mode) for mount in mounts] == [
        ("/etc/a.conf", None),
        ("/srv/index.html", None),
        ("/srv/sub/run.sh", 0o555),
    ]
    contents = {config.name: config.content for config in before.configs}
    assert [contents[mount.name] for mount in mounts] == [b"three", b"one", b"two"]
    assert [notice.partition(": ")[2] for notice in loaded.notices] == [
        "html/empty is an empty folder, and is not sent",
        "a.conf is sent to the nodes, where the container can't write it",
    ]
    (tmp_path / "html/index.html").write_text("changed")
    after = load(paths, case).stacks[0]
    assert after.services[0].container != before.services[0].container


@pytest.mark.parametrize("case", [pytest.param(case, id=case["what"]) for case in cases("bad.yml")])
def test_what_it_is_told(case: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises((FileErrors, ShipyardError)) as caught:
        load(written(case, tmp_path), case, strict=case.get("strict", False))
    assert str(caught.value).replace(f"{tmp_path}/", "").replace(str(tmp_path), "DIR") == case["says"].rstrip("\n")


def test_kinds_are_told_by_what_is_in_the_file(tmp_path: Path) -> None:
    for text, kind in (
        ("- hosts: all\n  stack: a\n", "playbook"),
        ("# a\nversion: '3'\nservices: {}\n", "compose"),
        ('{"services": {}}', "compose"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "kubernetes"),
        ("---\n---\napiVersion: v1\nkind: List\nitems: [{services: 1}]\n", "kubernetes"),
        ("a: {services: 1}\n", "playbook"),
        ("apiVersion: v1\nkind: Pod\nspec:\n  a: b\n c: d\n", "kubernetes"),  # its reader says where it breaks off
        ("services:\n  a: b\n c: d\n", "compose"),
    ):
        assert kinds.kind_of_text(text.encode()) == kind, text
    assert kinds.kind_of_text(b"web: {image: nginx}\n", "docker-compose.yml") == "compose"
    assert kinds.kind_of_text(b"- hosts: all\n", "compose.yaml") == "playbook"


def test_kinds_are_not_mixed_and_options_mean_something(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: nginx}}\n")
    (tmp_path / "play.yml").write_text("- {hosts: all, stack: a, services: {web: {image: nginx}}}\n")
    play, compose = tmp_path / "play.yml", tmp_path / "compose.yaml"
    around: Any = {"inventory": INVENTORY, "project": tmp_path}
    with pytest.raises(UsageError, match="files of one kind"):
        kinds.load([play, compose], **around)
    with pytest.raises(UsageError, match="no playbooks"):
        kinds.load([play], kinds.Wish(hosts="all"), **around)
    with pytest.raises(UsageError, match="-e is for playbooks"):
        kinds.load([compose], extra_vars={"a": 1}, **around)


def test_a_folder_is_its_compose_file_with_the_override(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: nginx}}\n")
    (tmp_path / "compose.override.yaml").write_text("services: {web: {hostname: over}}\n")
    wish = kinds.Wish(hosts="web", stack="shop")
    (stack,) = kinds.load([tmp_path], wish, inventory=INVENTORY, project=tmp_path).stacks
    (service,) = stack.services
    assert (stack.name, service.pattern, service.container.hostname) == ("shop", "web", "over")


def test_what_needs_no_place_on_a_fleet_is_said(tmp_path: Path) -> None:
    case = {"web": {"container_name": "front", "develop": {"watch": []}, "environment": {"DB_PASSWORD": "${P}"}}}
    loaded = load(written(case, tmp_path), {"env": {"P": "x"}})
    assert [notice.partition(": ")[2] for notice in loaded.notices] == [
        "web: develop is for work on one machine, and has no effect",
        "web: containers are named STACK-SERVICE-SLOT-…; front is an alias on its networks",
        "DB_PASSWORD stands in the environment, where inspect shows it; secrets: would hide it",
    ]
    assert loaded.stacks[0].services[0].container.networks[0].aliases == ("web", "front")


SHOWN = "stands in the environment, where inspect shows it; secrets: would hide it"


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ("{DB_PASSWORD: '${P}'}", 4),
        ("{DB_PASSWORD: hunter2}", 4),
        ("\n      - MODE=fast\n      - DB_PASSWORD=hunter2", 6),
        ("[DB_PASSWORD]", 4),
        ("\n      URL: postgres://shop:hunter2@db", 5),
        ("\n      MODE: fast\n      OPTIONS: --level=3 --pass=${API_TOKEN}", 6),
    ],
)
def test_secrets_in_the_environment_are_said_where_they_stand_and_refused_when_strict(
    tmp_path: Path, environment: str, line: int
) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(f"services:\n  web:\n    image: nginx\n    environment: {environment}\n")
    environ = {"P": "x", "API_TOKEN": "canary", "DB_PASSWORD": "from here"}
    around: Any = {"inventory": INVENTORY, "project": tmp_path, "environ": environ}
    loaded = kinds.load([file], kinds.Wish(stack="shop"), **around)
    (notice,) = loaded.notices
    assert f"compose.yaml:{line}: " in notice
    assert notice.endswith(SHOWN)
    assert "canary" not in notice
    assert holds_secrets(loaded.stacks[0])
    with pytest.raises(FileErrors, match=SHOWN):
        kinds.load([file], kinds.Wish(stack="shop", strict=True), **around)
    name = notice.split(": ")[1].split()[0]
    file.write_text(f"{file.read_text()}    x-shipyard: {{hidden: [{name}]}}\n")
    said = kinds.load([file], kinds.Wish(stack="shop", strict=True), **around)
    assert said.notices == ()
    assert said.stacks[0].services[0].container.hidden == (name,)


def test_what_is_said_to_be_hidden_and_is_not_there_is_a_slip_of_the_pen(tmp_path: Path) -> None:
    case = {"web": {"environment": {"A": "1"}, "x-shipyard": {"hidden": ["A", "B"]}}}
    loaded = load(written(case, tmp_path), {})
    assert [notice.partition(": ")[2] for notice in loaded.notices] == [
        "x-shipyard.hidden names B, which the container does not get"
    ]
    assert loaded.stacks[0].services[0].container.hidden == ("A",)
