"""ssh_config read as OpenSSH itself reads it: random files, compared with `ssh`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import sshoracle
from tests.examples import examples

NAMES = ["web", "db", "web1", "gate", "WEB", "127.1"]
PATTERNS = st.sampled_from(["*", "web", "web*", "we?", "db", "!web", "!db*", "*1", "gate", '"web"', "[w]eb", "'db'"])
LISTS = st.sampled_from(["web", "real", "w*,!web1", "!db,*", "WEB", "?eb,d*", '"web,db"', "real.example"])
USERS = ["ann", "bob"]
NAMED = st.sampled_from(["%h", "%n", "%r", "%p", "%k", "%u", "%%", "%L", "%i", "%d", "%z", "~", "a b", "${HOME}"])

options = st.one_of(
    st.builds("User {}".format, st.sampled_from([*USERS, "'ann'", "a#b", "bob # why", "ann bob"])),
    st.builds(
        "{}{}".format,
        st.sampled_from(["Port ", "port=", "Port = "]),
        st.sampled_from(["1", "7", "22", "ssh", "0", "x"]),
    ),
    st.builds("HostName {}".format, st.sampled_from(["%h.example", "real", "db", "REAL", "127.1", "%n", "::1"])),
    st.builds('IdentityFile "/k/{}"'.format, NAMED),
    st.builds("IdentityFile {}".format, st.sampled_from(["~/k", "/k/c # why", "none", "/k/a\\ b", "~/.ssh/id_rsa"])),
    st.builds('CertificateFile "/c/{}"'.format, NAMED),
    st.builds("HostKeyAlias {}".format, st.sampled_from(["one", "Two"])),
    st.builds("StrictHostKeyChecking {}".format, st.sampled_from(["yes", "NO", "accept-new", "ask", "off", "maybe"])),
    st.builds("UserKnownHostsFile {}".format, st.sampled_from(["/a", "/a /b", "none", "/a none", "/k/%h", "# x"])),
    st.sampled_from(["ProxyJump gate", "ProxyJump none", "ProxyJump ann@gate:7", "ProxyJump gate:x", "ProxyJump a,b"]),
    st.sampled_from(["ProxyCommand none", "ProxyCommand relay-not-there %h:%p # x", "ProxyCommand a 'b"]),
    st.sampled_from(["", "# User comment", "Compression yes", "  \tIdentitiesOnly yes", "IdentitiesOnly x", "Frob x"]),
    st.sampled_from(["IgnoreUnknown frob*", "AddressFamily inet", "IdentityAgent none", "IdentityAgent /s/%h"]),
    st.sampled_from(["GlobalKnownHostsFile /g", "HashKnownHosts yes", "ServerAliveInterval 1m"]),
)
criteria = st.one_of(
    st.builds("{}host {}".format, st.sampled_from(["", "!"]), LISTS),
    st.builds("{}originalhost={}".format, st.sampled_from(["", "!"]), LISTS),
    st.builds("{}user {}".format, st.sampled_from(["", "!"]), st.sampled_from([*USERS, "ann,bob", "a*"])),
    st.sampled_from(["final", "!final", "canonical", "all", "exec true", '!exec "test %h = real"', "host", "#"]),
)
headers = st.one_of(
    st.builds("Host {}".format, st.lists(PATTERNS, min_size=1, max_size=3).map(" ".join)),
    st.builds("Match {}".format, st.lists(criteria, min_size=1, max_size=2).map(" ".join)),
    st.just("Match all"),
)
lines = st.lists(st.one_of(options, options, headers), max_size=12)


def written(main: list[str], included: list[str], folder: Path) -> Path:
    (folder / "included").write_text("\n".join(included) + "\n")
    middle = len(main) // 2
    text = ["Host gate a b", "ProxyJump none", "ProxyCommand none", "Match all"]  # else they would jump by themselves
    text += [*main[:middle], f"Include {folder}/incl*", *main[middle:]]
    config = folder / "config"
    config.write_text("\n".join(text) + "\n")
    return config


@settings(max_examples=40)
@given(lines, lines, st.sampled_from(NAMES))
@example(["Host web", "Port 1"], ["Host db", "Port 2"], "web")
@example([], ["HostName %n", "Match exec true"], "web")
@example([], ['IdentityFile "/k/%z"', "Match exec true"], "web")
@example(["HostName real", "Match host real", "User ann", "Match user ann", "Port 7"], [], "web")
def test_any_file_means_what_openssh_says(main: list[str], included: list[str], name: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        sshoracle.agree(written(main, included, Path(place)), name, exact=False)


@pytest.mark.thorough
@settings(max_examples=examples(200, 4000))
@given(lines, lines, st.sampled_from(NAMES))
def test_many_files_mean_what_openssh_says(main: list[str], included: list[str], name: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        sshoracle.agree(written(main, included, Path(place)), name, exact=False)
