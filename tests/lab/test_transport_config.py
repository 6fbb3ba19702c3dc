"""ssh_config read as OpenSSH itself reads it: random files, compared with `ssh -G`."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shipyard.model.inventory import Connection
from shipyard.transport.options import SshOptions
from shipyard.transport.resolve import Resolver

NAMES = ["web", "db", "web1", "gate", "WEB"]
PATTERNS = st.sampled_from(["*", "web", "web*", "we?", "db", "!web", "!db*", "*1", "gate", '"web"', "[w]eb"])
USERS = ["ann", "bob"]

options = st.one_of(
    st.builds("User {}".format, st.sampled_from(USERS)),
    st.builds("Port {}".format, st.integers(1, 9)),
    st.builds("port={}".format, st.integers(1, 9)),
    st.builds("HostName {}".format, st.sampled_from(["%h.example", "real", "db"])),
    st.builds("IdentityFile {}".format, st.sampled_from(["/k/%h", "/k/%n", '"/k/a b"', "/k/%r", "/k/c # why"])),
    st.builds("HostKeyAlias {}".format, st.sampled_from(["one", "two"])),
    st.builds("StrictHostKeyChecking {}".format, st.sampled_from(["yes", "no", "accept-new", "ask", "off"])),
    st.builds("UserKnownHostsFile {}".format, st.sampled_from(["/a", "/a /b"])),
    st.sampled_from(["ProxyJump gate", "ProxyJump none", "ProxyJump ann@gate:7", "ProxyCommand none"]),
    st.sampled_from(["", "# User comment", "Compression yes", "  \tIdentitiesOnly yes"]),
)
UNQUOTED = PATTERNS.filter(lambda pattern: '"' not in pattern)
criteria = st.one_of(
    st.builds("{}host {}".format, st.sampled_from(["", "!"]), st.lists(UNQUOTED, min_size=1, max_size=2).map(",".join)),
    st.builds("originalhost {}".format, UNQUOTED),
    st.builds("{}user {}".format, st.sampled_from(["", "!"]), st.sampled_from([*USERS, "ann,bob", "a*"])),
)
headers = st.one_of(
    st.builds("Host {}".format, st.lists(PATTERNS, min_size=1, max_size=3).map(" ".join)),
    st.builds("Match {}".format, st.lists(criteria, min_size=1, max_size=2).map(" ".join)),
    st.just("Match all"),
)
lines = st.lists(st.one_of(options, headers), max_size=12)


def as_openssh_reads_it(config: Path, name: str) -> dict[str, list[str]]:
    done = subprocess.run(
        ["ssh", "-G", "-F", str(config), name], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    answer: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        answer.setdefault(key, []).append(value)
    return answer


@settings(max_examples=120)
@given(lines, lines, st.sampled_from(NAMES))
@example(["Host web", "Port 1"], ["Host db", "Port 2"], "web")
@example(["HostName real", "Match host real", "User ann", "Match user ann", "Port 7"], [], "web")
def test_any_file_means_what_openssh_says(main: list[str], included: list[str], name: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "included").write_text("\n".join(included) + "\n")
        middle = len(main) // 2
        text = ["Host gate", "ProxyJump none", "Match all"]  # else it would be its own jump host
        text += [*main[:middle], f"Include {folder}/incl*", *main[middle:]]
        config = folder / "config"
        config.write_text("\n".join(text) + "\n")
        expected = as_openssh_reads_it(config, name)
        found = Resolver(SshOptions(home=folder, trusted=True)).target(
            "node1", Connection(address=name, common_args=("-F", str(config)))
        )
    # ssh lower-cases names that it was given; so do known_hosts and the resolver, where it matters
    assert (found.host.lower(), found.port, found.user) == (
        expected["hostname"][0].lower(),
        int(expected["port"][0]),
        expected["user"][0],
    )
    checking = {"true": "yes", "ask": "yes", "false": "no", "off": "no", "accept-new": "accept-new"}
    assert found.checking.value == checking[expected["stricthostkeychecking"][0]]
    if not found.default_identities:
        # here no file is offered twice
        files = [
            path.replace("%h", found.host).replace("%n", name).replace("%r", found.user)
            for path in expected["identityfile"]
        ]
        assert [path.lower() for path in found.identities] == [path.lower() for path in dict.fromkeys(files)]
    assert (found.via is None) == ("proxyjump" not in expected)
    if "hostkeyalias" in expected:
        assert found.known_as == expected["hostkeyalias"][0]
    if expected["userknownhostsfile"][0].startswith("/a"):
        assert " ".join(found.known_hosts).startswith(expected["userknownhostsfile"][0])
