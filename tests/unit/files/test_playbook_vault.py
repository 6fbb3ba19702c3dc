"""Playbooks, their variables and `-e @FILE` with what ansible-vault encrypted."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipyard.base.errors import FileError, FileErrors
from shipyard.files.ansiblevault import PROMPT, Identity, Keys
from shipyard.files.inventory import load as load_inventory
from shipyard.files.playbook import extra_vars, load
from tests.playbook_project import Project
from tests.vaulted import encrypted, value

HEAD = "- hosts: node1\n  stack: shop\n"
BODY = '  services: {web: {image: nginx, environment: {A: "{{ a }}"}}}\n'
SECRET = '  services: {web: {image: nginx, secrets: [db]}}\n  secrets: {db: {content: "{{ a }}"}}\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def keys(password: str = "secret") -> Keys:
    return Keys([Identity("default", PROMPT, "the test")], ask=lambda _: password)


def environment(project: Project, playbook: str, **options: object) -> dict[str, str]:
    loaded = project.load(playbook, keys=keys(), **options)
    return dict(loaded.stack("shop").services[0].container.environment)


def test_variables_of_a_play(project: Project) -> None:
    play = HEAD + "  vars:\n    a: " + value("{{ b }}", indent=6) + "    b: 1\n" + BODY
    assert environment(project, play) == {"A": "{{ b }}"}


def test_a_secret_of_a_variable_is_in_no_stack(project: Project) -> None:
    play = HEAD + "  vars:\n    a: " + value("hunter2", indent=6) + SECRET
    loaded = project.load(play, keys=keys())
    assert "hunter2" not in repr(loaded)
    (secret,) = loaded.secrets["shop"]
    assert secret.content is not None
    assert secret.content.reveal() == b"hunter2"


def test_files_of_variables(project: Project) -> None:
    (project.folder / "playbooks" / "closed.yml").write_text(encrypted("a: '{{ b }}'\nb: 1\n"))
    (project.folder / "playbooks" / "part.yml").write_text("a: " + value("x"))
    assert environment(project, HEAD + "  vars_files: closed.yml\n" + BODY) == {"A": "1"}
    assert environment(project, HEAD + "  vars_files: [closed.yml, part.yml]\n" + BODY) == {"A": "x"}
    said = project.errors(HEAD + "  vars_files: closed.yml\n" + BODY)
    assert "closed.yml:1: is encrypted with ansible-vault, and no vault password was given\n  hint: --" in said
    said = project.errors(HEAD + "  vars_files: part.yml\n" + BODY)
    assert "part.yml:1: is encrypted with ansible-vault, and no vault password was given\n  hint: --" in said


def test_a_whole_playbook(project: Project) -> None:
    assert environment(project, encrypted(HEAD + "  vars: {a: 1}\n" + BODY)) == {"A": "1"}
    said = project.errors(encrypted(HEAD + BODY), keys=keys("another"))
    assert said.startswith("play.yml:1: can't be opened: it was encrypted with another vault password than default (")


def test_variables_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "closed").write_text(encrypted('{"a": 1}'))
    assert extra_vars(["@closed"], cwd=tmp_path, keys=keys()) == {"a": 1}
    with pytest.raises(FileError, match="closed:1: is encrypted with ansible-vault"):
        extra_vars(["@closed"], cwd=tmp_path)


def test_a_value_of_the_inventory_needs_no_password_where_nobody_uses_it(project: Project, tmp_path: Path) -> None:
    variables = "    a: " + value("x", indent=6) + "    b: 1\n"
    (tmp_path / "hosts.yml").write_text("all:\n  hosts: {n1: , n2: }\n  vars:\n" + variables)
    inventory = load_inventory(["hosts.yml"], cwd=tmp_path)
    play = tmp_path / "playbooks" / "play.yml"
    play.write_text("- hosts: all\n  stack: shop\n" + BODY.replace("a }}", "b }}"))
    assert load([play], inventory=inventory, project=tmp_path).stacks
    play.write_text("- hosts: all\n  stack: shop\n" + BODY)
    with pytest.raises(FileErrors, match=r"hosts\.yml:4: is encrypted with ansible-vault"):
        load([play], inventory=inventory, project=tmp_path)


def test_values_of_a_service_and_of_a_secret(project: Project) -> None:
    services = "  services:\n    web:\n      image: nginx\n      secrets: [db]\n      environment:\n        A: "
    secrets = "  secrets:\n    db:\n      content: "
    play = HEAD + services + value("{{ b }}", indent=10) + secrets + value("hunter2", indent=8)
    loaded = project.load(play, keys=keys())
    assert dict(loaded.stack("shop").services[0].container.environment) == {"A": "{{ b }}"}
    (secret,) = loaded.secrets["shop"]
    assert secret.content is not None
    assert secret.content.reveal() == b"hunter2"
    assert "play.yml:8: can't be opened" in project.errors(play, keys=keys("another"))
