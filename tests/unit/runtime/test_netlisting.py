"""Connections of a container, counted by the node's awk from tables as the kernel prints them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from shipyard.model.wire import WiringRequest, names_of
from shipyard.runtime.netlisting import COUNT, parse

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LISTENS = "00000000:1F90 00000000:0000 0A"
CLIENT = "0402D00A:1F90 0902D00A:D431"


@pytest.mark.parametrize(
    ("tcp", "udp", "said"),
    [
        ([], [], "connected web 0"),
        ([LISTENS], [], "connected web 0"),
        ([LISTENS, f"{CLIENT} 01", "0402D00A:1F90 0902D00A:D432 01"], [], "connected web 2"),
        ([LISTENS, f"{CLIENT} 03"], [], "connected web 1"),
        ([LISTENS, f"{CLIENT} 04"], [], "connected web 1"),
        ([LISTENS, f"{CLIENT} 05"], [], "connected web 1"),
        ([LISTENS, f"{CLIENT} 06"], [], "connected web 0"),
        ([LISTENS, f"{CLIENT} 08"], [], "connected web 0"),
        ([LISTENS, f"{CLIENT} 09"], [], "connected web 1"),
        ([LISTENS, f"{CLIENT} 0B"], [], "connected web 1"),
        ([LISTENS, "0402D00A:9C40 0902D00A:1538 01"], [], "connected web 0"),
        ([LISTENS, "0100007F:1F90 0100007F:D431 01"], [], "connected web 0"),
        ([LISTENS], ["0B00007F:9C41 00000000:0000 07"], "connected web 0"),
        ([LISTENS], ["0402D00A:9C41 0902D00A:0035 01"], "connected web 0"),
        ([LISTENS, f"{CLIENT} 01"], ["00000000:0035 00000000:0000 07"], "connected web 1\ndatagrams web"),
    ],
    ids=[
        "nothing",
        "nobody",
        "two clients",
        "one being made",
        "closed, with something left to send",
        "closed, and the other side not yet",
        "over",
        "closed by the client",
        "closed by both, and the last word not heard",
        "closed by both at once",
        "its own, to another",
        "from itself",
        "the runtime's own DNS",
        "a question of its own",
        "datagrams come in",
    ],
)
def test_open_connections(tmp_path: Path, tcp: list[str], udp: list[str], said: str) -> None:
    files = {"tcp": tcp, "tcp6": [], "udp": udp, "udp6": []}
    for name, lines in files.items():
        rows = "".join(f"   {number}: {line} 00000000:00000000\n" for number, line in enumerate(lines))
        (tmp_path / name).write_text(HEAD + rows)
    argv = ["awk", "-v", "name=web", COUNT, *(str(tmp_path / name) for name in files)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == said


def test_ports_are_those_of_the_better_of_two_counts_and_an_empty_line_is_nothing_that_was_altered() -> None:
    """A node without bridges has none to tell; its rules were listed otherwise, and hold the same."""
    said = f"kernel {'0' * 64}\nrules {'1' * 64}\naltered\nend\n\nports podman1 2\nports docker0 1\nports podman1 3\n\n"
    wiring, *_ = parse(said.encode(), WiringRequest(), names_of("cafe"), {"s_default": "podman1"})
    assert (wiring.altered, wiring.ports) == ((), (("s_default", 3),))
