"""How hosts are reached, as Ansible's connection variables say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from shipyard.base.errors import FileError
from shipyard.base.record import replace
from shipyard.files.inventory import NodeSettings, connection_of, load, node_settings
from shipyard.model.inventory import Become, Connection, Inventory


@pytest.fixture
def of(tmp_path: Path) -> Any:
    def connection(**variables: Any) -> Connection:
        inventory = inventory_with(tmp_path, **variables)
        return connection_of(inventory, inventory.hosts[0])

    return connection


def inventory_with(folder: Path, **variables: Any) -> Inventory:
    hosts = {"web": {"hosts": {"h": variables}, "vars": {"domain": "example.com"}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    return load(["hosts.yml"], cwd=folder)


def test_nothing_said(of: Any) -> None:
    assert of() == Connection(kind="ssh", address="h", timeout=10.0)


def test_everything_said(of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert of(
        ansible_host="{{ inventory_hostname }}.{{ domain }}",
        ansible_port="{{ 2200 + 22 }}",
        ansible_user="{{ nobody | default('deploy') }}",
        ansible_password="p w",
        ansible_ssh_private_key_file="~/.ssh/{{ groups.web[0] }}",
        ansible_ssh_common_args="-o ProxyJump=bastion -o 'ProxyCommand=nc %h %p'",
        ansible_ssh_extra_args="-4",
        ansible_ssh_timeout=30,
        ansible_host_key_checking="no",
        ansible_become=True,
        ansible_become_user="admin",
        ansible_become_password="s",
    ) == Connection(
        kind="ssh",
        address="h.example.com",
        port=2222,
        user="deploy",
        password="p w",
        key_file="/home/me/.ssh/h",
        common_args=("-o", "ProxyJump=bastion", "-o", "ProxyCommand=nc %h %p", "-4"),
        timeout=30.0,
        host_key_checking=False,
        become=Become("admin", "s"),
    )


def test_older_spellings_win_over_newer_as_in_ansible(of: Any) -> None:
    made = of(
        ansible_host="new", ansible_ssh_host="old", ansible_ssh_user="u", ansible_ssh_port=23, ansible_ssh_pass="p"
    )
    assert (made.address, made.user, made.port, made.password) == ("old", "u", 23, "p")


def test_local(of: Any) -> None:
    assert of(ansible_connection="local").kind == "local"
    assert of(ansible_connection="ansible.builtin.local").kind == "local"
    assert of(ansible_connection="paramiko").kind == "ssh"


def test_implicit_localhost_is_local(tmp_path: Path) -> None:
    inventory = inventory_with(tmp_path)
    for name in ("localhost", "127.0.0.1", "::1"):
        host = inventory.host(name)
        assert host is not None
        assert connection_of(inventory, host).kind == "local"


def test_become_only_where_asked(of: Any) -> None:
    assert of(ansible_become_user="root", ansible_become_method="su").become is None
    assert of(ansible_become="yes").become == Become("root", None)


def test_relative_keys_start_where_ssh_starts(of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert of(ansible_ssh_private_key_file="keys/id").key_file == str(tmp_path / "keys/id")
    assert of(ansible_ssh_private_key_file="%d/id").key_file == "%d/id"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ansible_connection": "winrm"}, "hosts.yml: h.ansible_connection: 'winrm' can't be used here"),
        (
            {"ansible_become": "yes", "ansible_become_method": "su"},
            "h.ansible_become_method: 'su' can't be used here; sudo can",
        ),
        ({"ansible_become": "perhaps"}, "h.ansible_become: 'perhaps' is neither yes nor no"),
        ({"ansible_port": 0}, "h.ansible_port: '0' is no port"),
        ({"ansible_port": 65536}, "is no port"),
        ({"ansible_port": "ssh"}, "'ssh' is no port"),
        ({"ansible_port": "２２"}, "is no port"),
        ({"ansible_host": "-oProxyCommand=id"}, "h.ansible_host: '-oProxyCommand=id' begins with '-'"),
        ({"ansible_user": "-l root"}, "begins with '-'"),
        ({"ansible_user": "a b"}, "holds blanks"),
        ({"ansible_host": "a\x1b[31m"}, "control characters"),
        ({"ansible_host": ["a"]}, "h.ansible_host: is a text, not a list"),
        ({"ansible_ssh_timeout": "soon"}, "'soon' is no number of seconds"),
        ({"ansible_ssh_timeout": -1}, "is no number of seconds"),
        ({"ansible_ssh_timeout": "nan"}, "is no number of seconds"),
        ({"ansible_ssh_common_args": "-o 'Proxy"}, "h.ansible_ssh_common_args: can't be split into words"),
        (
            {"ansible_user": "{{ usr }}", "user": "x"},
            "h.ansible_user: the variable 'usr' is not defined\n  hint: did you mean 'user'?",
        ),
        ({"ansible_user": "{{ ansible_user }}"}, "these variables need each other: ansible_user -> ansible_user"),
        ({"ansible_user": "{{ lookup('env', 'USER') }}"}, "lookups"),
        ({"ansible_host_key_checking": "maybe"}, "neither yes nor no"),
    ],
)
def test_what_can_not_be(of: Any, variables: dict[str, Any], said: str) -> None:
    with pytest.raises(FileError) as caught:
        of(**variables)
    assert said in str(caught.value)


def test_an_encrypted_password_that_can_not_be_opened_is_an_error_when_used(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(
        "g:\n  hosts:\n    h:\n      ansible_password: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        61\n"
    )
    inventory = load(["hosts.yml"], cwd=tmp_path)
    with pytest.raises(FileError, match=r"hosts\.yml:4: h\.ansible_password: is encrypted with ansible-vault"):
        connection_of(inventory, inventory.hosts[0])


def test_passwords_are_not_in_representations(of: Any) -> None:
    assert "s3cret" not in repr(of(ansible_password="s3cret", ansible_become=True, ansible_become_pass="s3cret"))


def test_node_settings(tmp_path: Path) -> None:
    inventory = inventory_with(
        tmp_path,
        shipyard_labels={"zone": "{{ domain }}", "ssd": True, "cores": 8},
        shipyard_runtime="podman",
        shipyard_taints=["role=db:NoSchedule", "spot:NoExecute"],
        shipyard_devices={"nvidia/gpu": 2, "fpga": "1"},
    )
    assert node_settings(inventory, inventory.hosts[0]) == NodeSettings(
        labels=(("cores", "8"), ("ssd", "true"), ("zone", "example.com")),
        runtime="podman",
        taints=(("role", "db", "NoSchedule"), ("spot", "", "NoExecute")),
        devices=(("fpga", 1), ("nvidia/gpu", 2)),
    )
    nothing = inventory_with(tmp_path)
    assert node_settings(nothing, nothing.hosts[0]) == NodeSettings()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"shipyard_runtime": "lxc"}, "h.shipyard_runtime: 'lxc' is none of docker, podman, nerdctl"),
        ({"shipyard_labels": ["a"]}, "h.shipyard_labels: is a mapping"),
        ({"shipyard_labels": {"a": ["b"]}}, "the label 'a' is no name with one value"),
        ({"shipyard_taints": "a=b:NoSchedule"}, "h.shipyard_taints: is a list"),
        ({"shipyard_taints": ["a=b:Never"]}, "'a=b:Never' is not like key=value:NoSchedule"),
        ({"shipyard_taints": [5]}, "5 is not like"),
        ({"shipyard_devices": ["gpu"]}, "h.shipyard_devices: is a mapping"),
        ({"shipyard_devices": {"a b": 1}}, "'a b' is no kind of device"),
        ({"shipyard_devices": {"gpu": -1}}, "there can't be -1 of gpu"),
    ],
)
def test_node_settings_that_can_not_be(tmp_path: Path, variables: dict[str, Any], said: str) -> None:
    inventory = inventory_with(tmp_path, **variables)
    with pytest.raises(FileError) as caught:
        node_settings(inventory, inventory.hosts[0])
    assert said in str(caught.value)


@pytest.mark.parametrize(("variables", "seconds"), [("", 3.0), (" ansible_ssh_timeout=7", 7.0)])
def test_a_connection_may_take_as_long_as_the_settings_say_unless_a_variable_does(
    tmp_path: Path, variables: str, seconds: float
) -> None:
    (tmp_path / "hosts").write_text(f"web1{variables}\n")
    inventory = replace(load(["hosts"], cwd=tmp_path), connect_timeout=3.0)
    assert connection_of(inventory, inventory.hosts[0]).timeout == seconds
