"""What `stats` printed on real nodes (docker 20.10, podman 4.3), and what is made of it."""

from __future__ import annotations

import pytest

from shipyard.model.observed import Usage
from shipyard.runtime import usage
from shipyard.runtime.dialect import ProbeRequest
from shipyard.runtime.dialects import NAMES, by_name

BIG = "6cc2a94b5852171cb2379697528d285a28617ed2fe0ffbbd8864dc189d888f91"
IDLE = "99f0eb1afeac18eb1fbac1e06814da0db056cea5af538d33b62ea87a26e9c58c"
BUSY = "2a4743c7e4e065d2157a3a5a3fdaa8997ec1ada139caf3b33341d74c1ad08a21"
DOCKER = f"""{BIG} 0.00% 60.45MiB / 23.54GiB
{IDLE} 0.00% 320KiB / 23.54GiB
{BUSY} 129.81% 328KiB / 200MiB
{"0" * 64} -- -- / --
"""
MADE = "5ad15b2474250c245e59193c62d429068c2615b059482506400415c8ecfde08c"
PODMAN = f"""{MADE} 0 0 0B / 0B
{BUSY} 367400190 1795384091185010337 286.7kB / 209.7MB
{BIG} 90068037 1795384091185850686 63.69MB / 25.28GB
{MADE} 0 0 0B / 0B
{BUSY} 677049756 1795384092241415543 282.6kB / 209.7MB
{BIG} 90068037 1795384092242293032 63.33MB / 25.28GB
{IDLE} 46997825 1795384092243298258 266.2kB / 25.28GB
"""


def test_docker_says_shares_of_a_core() -> None:
    assert usage.of_docker(DOCKER.encode()) == (
        Usage("0" * 64, None, None),
        Usage(BUSY, pytest.approx(1.2981), 335872),
        Usage(BIG, 0.0, 63386419),
        Usage(IDLE, 0.0, 327680),
    )


def test_podmans_counters_are_read_twice_and_one_that_does_not_run_is_left_out() -> None:
    assert usage.of_podman(PODMAN.encode()) == (
        Usage(BUSY, pytest.approx(0.29312, abs=1e-4), 282600),
        Usage(BIG, 0.0, 63330000),
        Usage(IDLE, None, 266200),
    )


@pytest.mark.parametrize(
    "body", [b"", b"Error: cgroup v1\n", b"\xff\xfe a b c\n", f"{BUSY}\n".encode(), f"{BUSY} x y z / a\n".encode()]
)
def test_nonsense_says_nothing(body: bytes) -> None:
    assert all(each.cpu is None and each.memory is None for each in usage.of_docker(body))
    assert usage.of_podman(body) == ()


SIZES = [
    ("0B", 0),
    ("512B", 512),
    ("1kB", 1000),
    ("1KiB", 1024),
    ("1.5MB", 1_500_000),
    ("1.5MiB", 1_572_864),
    ("2GiB", 2 * 2**30),
    ("1.25TB", 1_250_000_000_000),
    ("--", None),
    ("-1B", None),
    ("1e5B", None),
]


@pytest.mark.parametrize(("text", "size"), SIZES)
def test_sizes(text: str, size: int | None) -> None:
    assert usage.size(text) == size


@pytest.mark.parametrize("name", NAMES)
def test_it_is_asked_for_only_where_it_is_wanted(name: str) -> None:
    dialect = by_name(name)
    assert "stats" not in dialect.probe(ProbeRequest("c"))
    assert f"{name} stats --no-stream" in dialect.probe(ProbeRequest("c", usage=True))
