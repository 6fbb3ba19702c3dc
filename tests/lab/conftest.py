"""One mixed lab for all tests of a process, and a clean fleet for each of them.

Where this machine can't host a lab, each of these tests is skipped with one clear line. Where it can and CI is set,
a skip counts as a failure: nobody should believe that what was not run has passed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from shipyard.lab.lab import Lab
from shipyard.lab.layout import all_records
from shipyard.lab.machine import can_be_mended, missing
from tests.lab.fleet import Fleet, Ran
from tests.lab.sshd import User, temporary_user

HERE = Path(__file__).parent
LONGEST = (
    *("test_groups.py", "test_killed.py", "test_network.py", "test_rewiring.py", "test_rewiring_nodes.py"),
    *("test_network_iptables.py", "test_unobserved.py", "test_healing.py", "test_network_six.py", "test_deploy.py"),
    *("test_store_lost.py", "test_rollout.py", "test_two_passes.py", "test_two_clusters.py", "test_shrunk.py"),
)
"""Their tests take minutes, and come first: else one process has them left when the others are done."""
IN_CI = os.environ.get("CI", "").lower() in ("true", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    first = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: first.get(item.path.name, len(first)) if item.path.parent == HERE else len(first))
    lacking = missing() if ours else ()
    for item in ours:
        item.add_marker(pytest.mark.lab)
        if lacking and not (IN_CI and can_be_mended(lacking)):
            item.add_marker(pytest.mark.skip(reason=f"this machine can't host a lab: {'; '.join(lacking)}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and IN_CI and can_be_mended(missing()):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, on a machine that can host a lab: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What a test that had to be run again failed with: it may have found something."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"rerun: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


def _own_name() -> str:
    return f"test-{os.getpid()}"


def _remove_orphans() -> None:
    """Labs of test runs that were killed."""
    for record in all_records():
        kind, _, pid = record.name.partition("-")
        if kind == "test" and pid.isdigit() and not Path(f"/proc/{pid}").exists():
            Lab.remove(record.name)


@pytest.fixture(scope="session")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two podman nodes and one docker node, up for the whole session."""
    _remove_orphans()
    name = _own_name()
    try:
        yield Lab.up(tmp_path_factory.mktemp("lab"), name, nodes=3, runtime="mixed")
    finally:
        Lab.remove(name)


@pytest.fixture
def fleet(shared_lab: Lab, tmp_path: Path) -> Iterator[Fleet]:
    """The shared lab with nothing on its nodes, and an empty project."""
    fleet = Fleet(shared_lab, tmp_path)
    fleet.clean()
    yield fleet


@pytest.fixture
def shipyard(fleet: Fleet) -> Callable[..., Ran]:
    """Run the program against the clean fleet: `shipyard("apply", "site.yml").expect(0)`."""
    return fleet.shipyard


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    """Somebody to log in as, gone after the module."""
    with temporary_user() as user:
        yield user


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, user: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The `Place` of the test's module: an sshd, who may log in, and a home; no agent of whoever runs the tests."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    place = request.module.Place(tmp_path, user)
    yield place
    place.sshd.stop()
