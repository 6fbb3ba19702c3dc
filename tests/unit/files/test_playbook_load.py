"""Loading playbooks: several files, variables, what may be read, and how much is rendered."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipyard.base.errors import FileError, FileErrors, UsageError
from shipyard.files.compose import service as compose_service
from shipyard.files.playbook import extra_vars, load
from shipyard.files.playbook import rendering as playbook_rendering
from shipyard.model.inventory import Group, Host, Inventory
from tests.playbook_project import INVENTORY, Project

WEB = "- hosts: web\n  stack: shop\n  services: {web: {image: nginx, networks: [net]}}\n  networks: {net: }\n"
DB = "- hosts: db\n  stack: shop\n  services: {db: {image: redis, networks: [net]}}\n"
NODE1 = "- hosts: node1\n  stack: shop\n"
BODY = '  services: {web: {image: nginx, environment: {A: "{{ a }}"}}}\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def environment(project: Project, text: str, **options: object) -> dict[str, str]:
    playbook = NODE1 + text + BODY
    return dict(project.load(playbook, **options).stack("shop").services[0].container.environment)


def test_files_are_parts_of_one_stack(project: Project) -> None:
    loaded = project.load(WEB, DB)
    (stack,) = loaded.stacks
    assert [(service.name, service.file, service.pattern) for service in stack.services] == [
        ("db", "playbooks/play2.yml", "db"),
        ("web", "playbooks/play.yml", "web"),
    ]
    assert [network.name for network in stack.networks] == ["shop_net"]
    assert loaded.files == ("playbooks/play.yml", "playbooks/play2.yml")
    assert loaded.patterns == ("web", "db")


def test_errors_of_all_files_are_told_at_once_in_order(project: Project) -> None:
    said = project.errors(DB.replace("redis", "Redis"), "- hosts: all\n", WEB.replace("nginx", "NGINX"))
    places = [line.split(": ")[0] for line in said.splitlines() if not line.startswith("  hint")]
    assert places == ["play.yml:3:19", "play2.yml:1:3", "play3.yml:3:20"]


def test_what_comes_to_the_same_on_all_nodes_may_go_by_their_names(project: Project) -> None:
    text = "- hosts: web\n  stack: shop\n  services: {web: {image: nginx, configs: [index]}}\n"
    content = '  configs: {index: {content: "{{ inventory_hostname | length }}"}}\n'
    (stack,) = project.load(text + content).stacks
    assert [(config.name, config.content) for config in stack.configs] == [("shop_index", b"5")]
    assert "must be the same" in project.errors(text + content.replace(" | length", ""))


def test_a_service_in_two_files_names_both(project: Project) -> None:
    assert project.errors(WEB, WEB) == (
        "play2.yml:3:14: [0].services.web: is declared a second time; the first is at play.yml:3"
    )


def test_a_network_said_differently_in_two_files_names_both(project: Project) -> None:
    other = DB + "  networks: {net: {internal: true}}\n"
    assert project.errors(WEB, other) == (
        "play2.yml:4:14: [0].networks.net: is declared otherwise at play.yml:4\n  hint: say the same in both, or once"
    )
    assert project.load(WEB, DB + "  networks: {net: }\n").stacks


def test_full_names_of_two_stacks_can_not_be_one(project: Project) -> None:
    first = "- hosts: all\n  stack: a\n  services: {s: {image: nginx, volumes: ['b_c:/c']}}\n  volumes: {b_c: }\n"
    second = "- hosts: all\n  stack: a_b\n  services: {s: {image: nginx, volumes: ['c:/c']}}\n  volumes: {c: }\n"
    assert "is called a_b_c on the nodes, as the volume at play.yml:4 is" in project.errors(first, second)


def test_the_same_file_twice_is_read_once(project: Project) -> None:
    project.load(WEB)
    path = project.folder / "playbooks" / "play.yml"
    loaded = load([path, path.parent / ".." / "playbooks" / "play.yml"], inventory=INVENTORY, project=project.folder)
    assert loaded.files == ("playbooks/play.yml",)


def test_a_playbook_outside_the_project(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "play.yml"
    elsewhere.write_text(WEB)
    with pytest.raises(FileErrors, match="is outside the project"):
        load([elsewhere], inventory=INVENTORY, project=project.folder)
    link = project.folder / "link.yml"
    link.symlink_to(elsewhere)
    with pytest.raises(FileErrors, match="is outside the project"):
        load([link], inventory=INVENTORY, project=project.folder)


@pytest.mark.parametrize(("name", "says"), [("nope.yml", "there is no such file"), ("", "is no regular file")])
def test_what_is_no_file(project: Project, name: str, says: str) -> None:
    with pytest.raises(FileErrors, match=says):
        load([project.folder / name], inventory=INVENTORY, project=project.folder)


def test_precedence_of_variables(project: Project) -> None:
    (project.folder / "playbooks" / "a.yml").write_text("a: file\n")
    play, file = "  vars: {a: play}\n", "  vars_files: a.yml\n"
    host = Inventory((Host("node1", ("all",), {"a": "host"}),), (Group("all", ("node1",)),))

    def value(text: str, **options: object) -> str:
        playbook = project.folder / "playbooks" / "play.yml"
        playbook.write_text(NODE1 + text + BODY)
        found = load([playbook], inventory=host, project=project.folder, **options)  # type: ignore[arg-type]  # passed on
        return dict(found.stacks[0].services[0].container.environment)["A"]

    assert value("") == "host"
    assert value(play) == "play"
    assert value(play + file) == "file"
    assert value(play + file, extra_vars={"a": "extra"}) == "extra"


def test_variables_are_yaml_1_1_and_the_body_is_not(project: Project) -> None:
    assert environment(project, "  vars: {a: off}\n") == {"A": "false"}
    assert environment(project, "  vars: {a: 1:30}\n") == {"A": "90"}
    text = "- hosts: node1\n  stack: shop\n  services: {web: {image: nginx, environment: {A: off, B: 1:30}}}\n"
    container = project.load(text).stack("shop").services[0].container
    assert dict(container.environment) == {"A": "off", "B": "1:30"}


def test_a_text_keeps_what_looks_like_a_number(project: Project) -> None:
    assert environment(project, '  vars: {a: "1.10"}\n') == {"A": "1.10"}


def test_a_marked_secret_variable_is_only_an_error_where_it_is_used(project: Project) -> None:
    vault = "  vars:\n    a: !vault |\n      $ANSIBLE_VAULT;1.1;AES256\n      00\n    b: 1\n"
    assert "ansible-vault" in project.errors(NODE1 + vault + BODY)
    assert project.load(NODE1 + vault + "  services: {web: {image: nginx}}\n").stacks


def test_tags_that_nothing_has(project: Project) -> None:
    tagged = WEB.replace("  stack", "  tags: front\n  stack")
    assert project.load(tagged, tags=["front"]).tags == ("front",)
    with pytest.raises(UsageError, match="no service in these files has this tag") as caught:
        project.load(tagged, tags=["frnt"])
    assert caught.value.hint == "did you mean front?"


def test_three_hundred_hosts_are_rendered_once_where_they_agree(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = tuple(Host(f"n{i:03}", ("all",), {"rack": i % 3, "version": "1.0", "note": i}) for i in range(300))
    inventory = Inventory(hosts, (Group("all", tuple(host.name for host in hosts)),))
    rendered: list[str] = []
    read: list[str] = []
    render = playbook_rendering.Renderer._render
    service = compose_service.service

    def counted_render(self, host, *args, **kwargs):  # type: ignore[no-untyped-def]  # a spy
        rendered.append(host.name)
        return render(self, host, *args, **kwargs)

    monkeypatch.setattr(playbook_rendering.Renderer, "_render", counted_render)
    monkeypatch.setattr("shipyard.files.playbook.assemble.read_service", lambda *a: read.append("") or service(*a))
    path = project.folder / "playbooks" / "play.yml"
    path.write_text(
        "- hosts: all\n  stack: s\n  vars: {where: '{{ rack }}', tag: '{{ version }}'}\n  services:\n"
        "    plain: {image: nginx}\n"
        "    same: {image: 'nginx:{{ tag }}'}\n"
        "    racks: {image: nginx, environment: {RACK: '{{ where }}'}}\n"
    )
    stack = load([path], inventory=inventory, project=project.folder).stacks[0]
    assert rendered == ["n000", "n000", "n001", "n002"]
    assert len(read) == 5
    racks = stack.service("racks")
    assert racks is not None and racks.per_node
    assert [dict(racks.container_on(f"n{i:03}").environment)["RACK"] for i in range(4)] == ["0", "1", "2", "0"]
    assert len(racks.variants) == 200


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a=1"], {"a": "1"}),
        (["a=1 b='x y'", "a=2"], {"a": "2", "b": "x y"}),
        (['{"a": 1, "b": [true]}'], {"a": 1, "b": [True]}),
        (["{a: off}"], {"a": False}),
        (["@vars.yml", "port=1"], {"port": "1", "toggle": False}),
        (["a="], {"a": ""}),
        ([], {}),
    ],
)
def test_extra_variables(project: Project, words: list[str], expected: dict[str, object]) -> None:
    assert extra_vars(words, cwd=project.folder / "playbooks") == expected


@pytest.mark.parametrize(
    ("word", "error", "says"),
    [
        ("a", UsageError, "expected NAME=VALUE, @FILE or JSON"),
        ("=1", UsageError, "expected NAME=VALUE"),
        ("a='", UsageError, "No closing quotation"),
        ("[1]", FileError, "expected a mapping of variables"),
        ("{a: ", FileError, "can't be read as YAML"),
        ("@nope.yml", FileError, "there is no such file"),
    ],
)
def test_extra_variables_that_can_not_be(tmp_path: Path, word: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        extra_vars([word], cwd=tmp_path)


@pytest.mark.parametrize("untrusted", [False, True])
@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ("privileged: true", "web is privileged"),
        ("volumes: ['/run/docker.sock:/s']", "mounts /run/docker.sock of the node"),
        ("volumes: ['/srv/../etc/:/s']", "mounts /etc of the node"),
        ("volumes: [{type: bind, source: //, target: /s}]", "mounts / of the node"),
        ("cap_add: [CAP_SYS_ADMIN, CHOWN]", "adds CAP_SYS_ADMIN"),
        ("devices: [/dev/sda]", "uses /dev/sda of the node"),
        ("pid: host", "shares the node's pid namespace"),
    ],
)
def test_power_over_the_node_is_said_or_refused(project: Project, keys: str, what: str, untrusted: bool) -> None:
    playbook = NODE1 + "  services: {web: {image: nginx, " + keys + "}}\n"
    if untrusted:
        assert f"{what}, which files applied with --untrusted may not" in project.errors(playbook, untrusted=True)
    else:
        (notice,) = project.load(playbook).notices
        assert f"{what}, which gives power over the node" in notice


def test_a_volume_that_is_a_bind_in_disguise(project: Project) -> None:
    playbook = (
        NODE1 + "  services: {web: {image: nginx, volumes: ['all:/all']}}\n"
        "  volumes: {all: {driver_opts: {type: none, o: bind, device: /}}}\n"
    )
    assert "mounts / of the node" in project.errors(playbook, untrusted=True)


@pytest.mark.parametrize(
    "keys", ["devices: [/dev/fuse]", "cap_add: [CHOWN]", "volumes: ['/srv/data:/s']", "pid: private"]
)
def test_what_gives_no_power_is_not_said(project: Project, keys: str) -> None:
    playbook = NODE1 + "  services: {web: {image: nginx, " + keys + "}}\n"
    assert project.load(playbook, untrusted=True).notices == ()


@pytest.mark.parametrize(
    "keys", ["restart: 'on-failure:0'", "deploy: {restart_policy: {condition: on-failure, max_attempts: 0}}"]
)
def test_no_attempts_at_most_are_as_many_as_need_be(project: Project, keys: str) -> None:
    """As docker and Swarm have it."""
    (stack,) = project.load(NODE1 + "  services: {web: {image: nginx, " + keys + "}}\n").stacks
    restart = stack.services[0].container.restart
    assert restart is not None and (restart.condition, restart.max_attempts) == ("on-failure", None)


def test_the_playbook_that_comes_with_shipyard() -> None:
    root = Path(__file__).parents[3]
    (stack,) = load([root / "playbooks" / "hello.yml"], inventory=INVENTORY, project=root).stacks
    assert stack.name == "hello" and not stack.services[0].per_node


def test_there_is_an_end_to_errors_and_notices(project: Project) -> None:
    many = NODE1 + "  services: {web: {image: nginx, ports: [%s]}}\n"
    said = project.errors(many % ", ".join(f"x{number}" for number in range(500)))
    assert said.count("\n") == 100 and said.endswith("play.yml: has more than 100 errors; the rest is left out")
    loaded = project.load(many % ", ".join(str(number) for number in range(1, 400)))
    assert len(loaded.notices) == 200


def test_what_is_no_text_in_the_environment_is_refused(project: Project) -> None:
    playbook = project.folder / "playbooks" / "play.yml"
    playbook.write_text(NODE1 + "  services: {web: {image: nginx, environment: [A]}}\n")
    with pytest.raises(FileErrors, match="holds what is no character in UTF-8"):
        load([playbook], inventory=INVENTORY, project=project.folder, environ={"A": "\udcff"})
    playbook.write_text(NODE1 + "  services: {web: {image: nginx, configs: [a]}}\n  configs: {a: {environment: A}}\n")
    (config,) = load([playbook], inventory=INVENTORY, project=project.folder, environ={"A": "\udcff"}).stacks[0].configs
    assert config.content == b"\xff"


def test_secrets_in_the_environment_are_said_where_they_stand(project: Project) -> None:
    """Written out, from a variable of the play or the host, or a file of variables; not what is said to be one."""
    (project.folder / "playbooks" / "secret.env").write_text("API_TOKEN=hunter2\n")
    loaded = project.load(
        """- hosts: web
  stack: shop
  vars: {word: hunter2}
  services:
    web:
      image: nginx
      environment:
        DB_PASSWORD: "{{ word }}-{{ inventory_hostname }}"
        MODE: fast
        SIGNING_KEY: hunter2
      env_file: secret.env
      x-shipyard:
        hidden: [SIGNING_KEY]
        sidecars:
          - {name: side, image: b, hidden: [A], environment: {A: hunter2, PASSWORD: hunter2}}
    joined:
      image: c
      network_mode: service:web
      environment: {A: hunter2}
      x-shipyard: {hidden: [A]}
"""
    )
    folder = project.folder / "playbooks"
    shown = "stands in the environment, where inspect shows it; secrets: would hide it"
    assert sorted(loaded.notices) == [
        f"{folder}/play.yml:11: API_TOKEN {shown}",
        f"{folder}/play.yml:15: PASSWORD {shown}",
        f"{folder}/play.yml:8: DB_PASSWORD {shown}",
    ]
    (service,) = loaded.stack("shop").services
    containers = [each for node in ("node1", "node2") for each in service.container_on(node).containers()]
    assert [each.hidden for each in containers] == [("SIGNING_KEY",), ("A",), ("A",)] * 2
