"""ansible_ssh_common_args: what is understood, and what is said about the rest."""

from __future__ import annotations

import pytest

from shipyard.base.errors import ConfigError
from shipyard.transport.arguments import Arguments, parse


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("-o", "ProxyJump=gate"), (("proxyjump", "gate"),)),
        (("-oProxyJump=gate",), (("proxyjump", "gate"),)),
        (("-o", "ProxyJump gate"), (("proxyjump", "gate"),)),
        (("-o", "proxyjump = a,b"), (("proxyjump", "a,b"),)),
        (("-J", "me@gate:2222"), (("proxyjump", "me@gate:2222"),)),
        (("-Jgate",), (("proxyjump", "gate"),)),
        (("-i", "~/key", "-p22", "-l", "me"), (("identityfile", "~/key"), ("port", "22"), ("user", "me"))),
        (("-6",), (("addressfamily", "inet6"),)),
        (("-o", "ProxyCommand=nc -X 5 %h %p"), (("proxycommand", "nc -X 5 %h %p"),)),
        (("-C", "-q", "-vvv", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s"), ()),
        ((), ()),
    ],
)
def test_options(words: tuple[str, ...], options: tuple[tuple[str, str], ...]) -> None:
    assert parse(words) == Arguments(options)


def test_the_config_file() -> None:
    assert parse(("-F", "ssh.cfg")).config == "ssh.cfg"
    assert parse(("-Fssh.cfg",)).config == "ssh.cfg"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("-W", "x:1"), "`-W` is not understood", "-J"),
        (("-o", "ProxyJmp=gate"), "option `proxyjmp` is not understood", "did you mean ProxyJump?"),
        (("-o", "LocalCommand=rm -rf /"), "option `localcommand` is not understood", "ProxyJump"),
        (("-o",), "`-o` lacks its value", None),
        (("-o", "User="), "option `User` lacks its value", None),
        (("gate",), "`gate` is not understood", "-o"),
        (("-",), "`-` is not understood", "-o"),
    ],
)
def test_what_is_not_understood_is_said(words: tuple[str, ...], message: str, hint: str | None) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(words)
    assert message in raised.value.message
    assert hint is None or hint in (raised.value.hint or "")
