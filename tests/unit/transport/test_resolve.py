"""From inventory, arguments and ssh_config to what is connected to."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from pathlib import Path

import pytest

from shipyard.base.errors import NotObserved
from shipyard.base.record import replace
from shipyard.base.trust import NOTHING, Trust
from shipyard.model.inventory import Connection
from shipyard.transport.local import this_user
from shipyard.transport.options import SshOptions
from shipyard.transport.resolve import Resolver
from shipyard.transport.target import Checking, Target


class Home:
    """A home with an ssh_config."""

    def __init__(self, folder: Path) -> None:
        self.ssh = folder / ".ssh"
        self.ssh.mkdir()
        self.options = SshOptions(home=folder, system_config=folder / "etc" / "ssh_config")

    def config(self, text: str) -> None:
        (self.ssh / "config").write_text(text)

    def target(self, address: str = "web", *words: str, **changes: object) -> Target:
        trusted = Trust.all() if changes.pop("trusted", False) else NOTHING
        host = replace(Connection(address=address, common_args=words), **changes)  # type: ignore[arg-type]  # by name
        return Resolver(replace(self.options, trusted=trusted)).target("node1", host)

    def error(self, address: str = "web", *words: str, **changes: object) -> str:
        with pytest.raises(NotObserved) as raised:
            self.target(address, *words, **changes)
        assert raised.value.node == "node1"
        return str(raised.value)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return Home(tmp_path)


def test_without_any_config(home: Home) -> None:
    target = home.target()
    assert (target.host, target.port, target.user, target.known_as) == ("web", 22, this_user(), "web")
    assert target.known_hosts[:2] == (str(home.ssh / "known_hosts"), str(home.ssh / "known_hosts2"))
    assert target.record_in == str(home.ssh / "known_hosts")
    assert target.checking is Checking.YES
    assert target.default_identities
    assert (target.via, target.proxy_command, target.agent) == (None, None, None)


def test_the_inventory_wins_over_arguments_and_those_over_ssh_config(home: Home) -> None:
    home.config("Host web\n User config\n Port 1\n HostName real\n")
    assert home.target().user == "config"
    assert home.target("web", "-o", "User=argument").user == "argument"
    assert home.target("web", "-l", "argument", "-p", "2", user="inventory", port=3).user == "inventory"
    assert home.target("web", "-p", "2", port=3).port == 3
    assert home.target("web", "-p", "2").port == 2
    assert home.target().known_as == "[real]:1"


def test_the_first_value_wins_and_key_files_add_up(home: Home) -> None:
    home.config(
        "Host web\n  User one\n  IdentityFile ~/.ssh/a\n  IdentityFile %d/b-%r-%h\n"
        'Host *\n  User=two\n  IdentityFile "/c d"\n  IdentitiesOnly yes\n'
    )
    target = home.target(key_file="/mine")
    folder = home.ssh.parent
    assert target.user == "one"
    assert target.identities == ("/mine", f"{home.ssh}/a", f"{folder}/b-one-web", "/c d")
    assert target.identities_only
    assert not target.default_identities


def test_include_in_a_block_counts_for_that_block_only(home: Home) -> None:
    (home.ssh / "conf.d").mkdir()
    home.config("Host web\n  Include conf.d/*.conf\n  Port 1\nHost *\n  Port 2\n")
    (home.ssh / "conf.d" / "b.conf").write_text("User b\nHost db\n  User db\n")
    (home.ssh / "conf.d" / "a.conf").write_text("# nothing\nHost other\nUser other\n")
    (home.ssh / "conf.d" / "ignored").write_text("User ignored\n")
    assert (home.target("web").user, home.target("web").port) == ("b", 1)
    assert (home.target("db").user, home.target("db").port) == (this_user(), 2)


def test_an_include_of_itself_ends(home: Home) -> None:
    home.config("Include config\n")
    assert "does a file include itself" in home.error()


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("Host web", True),
        ("Host WEB", False),
        ("Match originalhost WEB", True),
        ("Host w?b", True),
        ("Host * !web", False),
        ("Host db web", True),
        ('Host "web"', True),
        ("Host=web", True),
        ("Host web # comment", True),
        ("Host db", False),
        ("Match all", True),
        ("Match host real", True),
        ("Match host web", False),
        ("Match originalhost web", True),
        ("Match originalhost db,web", True),
        ("Match originalhost web user me", True),
        ("Match originalhost web !user me", False),
        ("Match user other", False),
        ("Match !originalhost db", True),
        ("Match host=real", True),
    ],
)
def test_which_blocks_count(home: Home, line: str, holds: bool) -> None:
    home.config(f"User me\nHostName real\n{line}\n  Port 99\n")
    assert home.target().port == (99 if holds else 22)


def test_jump_hosts_in_their_order_with_their_own_settings(home: Home) -> None:
    home.config("Host inner\n  User deep\nHost outer\n  Port 2200\nHost web\n  ProxyJump me@outer,inner:24\n")
    target = home.target(password="secret", key_file="/key")
    inner = target.via
    assert inner is not None
    assert (inner.host, inner.port, inner.user, inner.password, inner.identities) == (
        "inner",
        24,
        "deep",
        None,
        ("/key",),
    )
    outer = inner.via
    assert outer is not None
    assert (outer.host, outer.port, outer.user, outer.via) == ("outer", 2200, "me", None)
    assert home.target("web", "-o", "ProxyJump=none").via is None


def test_jump_hosts_that_go_round_in_a_circle(home: Home) -> None:
    home.config("Host *\n  ProxyJump gate\n")
    assert "circle: web -> gate" in home.error()


def test_a_jump_host_by_address(home: Home) -> None:
    via = home.target("web", "-J", "me@[fe80::1]:24").via
    assert via is not None
    assert (via.user, via.host, via.port) == ("me", "fe80::1", 24)


def test_known_hosts_alias_and_checking(home: Home) -> None:
    home.config("Host web\n  HostKeyAlias cluster\n  UserKnownHostsFile ~/a /b\n  StrictHostKeyChecking accept-new\n")
    target = home.target(port=2222)
    assert target.known_as == "cluster"
    assert target.known_hosts[:2] == (str(home.ssh.parent / "a"), "/b")
    assert target.checking is Checking.ACCEPT_NEW
    assert home.target(host_key_checking=False).checking is Checking.NO
    assert home.target("web", "-o", "StrictHostKeyChecking=ask").checking is Checking.YES
    nowhere = home.target("web", "-o", "UserKnownHostsFile=/dev/null")
    assert nowhere.record_in is None


def test_a_config_of_the_project(home: Home, tmp_path: Path) -> None:
    home.config("User ignored\n")
    project = tmp_path / "project"
    project.mkdir()
    (project / "ssh.cfg").write_text("Host web\n  User fleet\n  ProxyCommand relay %r@%h:%p %%\n")
    words = ("-F", str(project / "ssh.cfg"))
    assert "trust-project" in home.error("web", *words)
    assert home.target("web", *words, trusted=True).proxy_command == "relay fleet@web:22 %"
    assert "there is no such file" in home.error("web", "-F", str(project / "missing"))
    assert home.target("web", "-F", "none").user == this_user()


@pytest.mark.skipif(shutil.which("ssh") is None, reason="asks ssh itself")
@pytest.mark.parametrize(
    "config",
    [
        "{}",
        "Match final\n  Port 8\n{}",
        "Match canonical\n  Port 8\n{}",
        "Host db\n  Port 8\nMatch final\n  Port 8\n{}",
        'Match final exec "touch RAN"\n  Port 8\n',
        "Match final\n  Port 8\nInclude MORE\n",
    ],
)
def test_a_config_of_the_project_runs_nothing_before_it_is_trusted(home: Home, tmp_path: Path, config: str) -> None:
    ran, more, named = tmp_path / "ran", tmp_path / "more.cfg", tmp_path / "ssh.cfg"
    more.write_text(f'Match exec "touch {ran}"\n  User fleet\n')
    text = config.format(more.read_text()).replace("RAN", str(ran)).replace("MORE", str(more))
    named.write_text(text)
    assert "trust-project" in home.error("web", "-F", str(named))
    assert not ran.exists()
    home.target("web", "-F", str(named), trusted=True)
    assert ran.exists()


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (("-o", "HostName=$(touch${IFS}RAN)"), {}),
        (("-o", "HostName=`touch${IFS}RAN`"), {}),
        (("-o", "User=a;touch${IFS}RAN;"), {}),
        (("-l", "a;touch${IFS}RAN;"), {}),
        (("-o", "HostKeyAlias=a|touch${IFS}RAN"), {}),
        (("-J", "a;touch${IFS}RAN;@gate"), {}),
        ((), {"user": "a;touch${IFS}RAN;"}),
        ((), {"address": "a;touch${IFS}RAN;"}),
        (("-o", "HostName=-oProxyCommand=touch${IFS}RAN"), {}),
    ],
)
def test_names_of_the_project_do_not_run_in_a_match_of_the_user(
    home: Home, tmp_path: Path, words: tuple[str, ...], changes: dict[str, object]
) -> None:
    ran = tmp_path / "ran"
    # of the user's own, so that it may run
    home.config('Match exec "true %h %n %r %k"\n  Port 9\n')
    named = [word.replace("RAN", str(ran)) for word in words]
    said = {key: str(value).replace("RAN", str(ran)) for key, value in changes.items()}
    address = said.pop("address", "web")
    config = ("-F", str(home.ssh / "config"))
    assert home.target("web", *config).port == 9
    assert "can't" in home.error(address, *config, *named, **said)
    assert not ran.exists()


def test_a_proxycommand_of_the_user_needs_no_trust(home: Home) -> None:
    home.config("Host web\n  ProxyCommand relay %h\n")
    assert home.target().proxy_command == "relay web"
    assert home.target("web", "-o", "ProxyCommand=none").proxy_command is None


@pytest.mark.parametrize("address", ["-oProxyCommand=x", "a b", "$(x)", "a;b", "a\nb"])
def test_names_that_are_none(home: Home, address: str) -> None:
    assert "can't be the name of a host" in home.error(address)


def test_a_user_can_not_add_to_a_proxycommand(home: Home) -> None:
    home.config("ProxyCommand relay %r\n")
    assert "can't be the name of a user" in home.error(user="x; touch /tmp/y")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("Port none", "`none` is no port"),
        ('Host "web', "config:1: Host: a quote is not closed"),
        ("ProxyJump a:b", "is not [user@]host[:port]"),
        ("IdentityFile ~/%z", "`%z`"),
    ],
)
def test_bad_settings_say_what_is_wrong(home: Home, config: str, message: str) -> None:
    home.config(config + "\n")
    assert message in home.error()


def test_a_file_that_others_may_write_is_not_read(home: Home) -> None:
    home.config("User ann\n")
    (home.ssh / "config").chmod(0o666)
    assert "everybody may write it" in home.error()
    (home.ssh / "config").chmod(0o600)
    os.chown(home.ssh / "config", 12345, -1)
    assert "belongs to another user" in home.error()
    os.chown(home.ssh.parent, 12345, -1)  # HOME is theirs, as some sudo leaves it
    assert home.target().user == "ann"


def test_the_systems_file_comes_after_the_users_and_includes_from_its_own_folder(home: Home) -> None:
    folder = home.options.system_config.parent
    (folder / "conf.d").mkdir(parents=True)
    home.config("IgnoreUnknown UseKeychain\nPort 1\n")
    home.options.system_config.write_text("Include conf.d/*.conf\nPort 2\nUseKeychain yes\n")
    (folder / "conf.d" / "a.conf").write_text("Host web\n  User ann\n  Port 3\n")
    assert (home.target().user, home.target().port) == ("ann", 1)
    home.options.system_config.write_text("\nInclude ~/x\n")
    assert f"{home.options.system_config}:2: Include: `~/x`" in home.error()


def test_a_match_final_in_one_file_reads_both_again(home: Home) -> None:
    home.options.system_config.parent.mkdir()
    home.config("Match final host real\n  User ann\n")
    home.options.system_config.write_text("Match final\n  Port 4\nHost web\n  HostName real\n")
    assert (home.target().host, home.target().user, home.target().port) == ("real", "ann", 4)


def test_a_project_that_is_not_trusted_may_match_the_final_pass(home: Home, tmp_path: Path) -> None:
    named = tmp_path / "ssh.cfg"
    named.write_text("HostName real\nMatch final host real\n  User fleet\n")
    assert home.target("web", "-F", str(named)).user == "fleet"
    named.write_text("User fleet\nFrobnicate yes\n")
    assert f"{named}:2: ssh_config has no keyword `frobnicate`" in home.error("web", "-F", str(named))


def test_a_command_that_hands_over_a_descriptor(home: Home) -> None:
    home.config("ProxyCommand relay\nProxyUseFdpass yes\n")
    assert "config:2: a ProxyCommand that hands over a descriptor" in home.error()


def test_the_jump_host_as_a_token(home: Home) -> None:
    home.config("IdentityFile /k/%j\nHost web\n  ProxyJump ann@gate:7\n")
    assert home.target("web").identities == ("/k/gate",)
    assert home.target("db").identities == ("/k/",)
    home.config("IdentityFile /k/%C\n")
    text = f"{socket.gethostname()}web22{this_user()}"
    assert home.target("web").identities == (f"/k/{hashlib.sha1(text.encode()).hexdigest()}",)
    jumping = home.target("web", "-J", "bob@gate").identities
    assert jumping == (f"/k/{hashlib.sha1(f'{text}gate'.encode()).hexdigest()}",)


def test_addresses(home: Home) -> None:
    assert home.target("[::1]", "-6").host == "::1"
    assert home.target("::1", "-6").family == socket.AF_INET6
    assert home.target("fe80::1%eth0").host == "fe80::1%eth0"


def test_the_agent(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    assert home.target().agent == "/run/agent"
    assert home.target("web", "-o", "IdentityAgent=none").agent is None
    assert home.target("web", "-o", "IdentityAgent=~/agent").agent == str(home.ssh.parent / "agent")
