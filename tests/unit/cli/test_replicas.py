"""Which replicas a name means, and what is said when there are none."""

import pytest

from shipyard.base.errors import UsageError
from shipyard.base.record import replace
from shipyard.cli.replicas import one_running, select
from shipyard.model.status import FleetStatus, MemberStatus
from tests.unit.cli import cli_samples as samples


@pytest.mark.parametrize(
    ("text", "names"),
    [("guestbook", ["web.1", "web.2"]), ("guestbook/web", ["web.1", "web.2"]), ("guestbook/web.2", ["web.2"])],
)
def test_select(text: str, names: list[str]) -> None:
    found = select(samples.fleet(), text)
    assert [each.name for each in found] == names
    assert found[-1].node == "knoten-東京"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shop", "there is no stack 'shop'; there are: guestbook"),
        ("guestbook/wbe", "guestbook has no service 'wbe'; it has: db, off, web"),
        ("guestbook/web.9", "guestbook/web has no replica 9; it has: web.1, web.2, web.3"),
        ("guestbook/db", r"no container that could be seen now: db.1 is unknown \(Unreachable\)"),
        ("guestbook/web.3", r"web.3 is pending \(BackOff\)"),
        ("guestbook/off", "it declares no replicas"),
    ],
)
def test_what_there_is_instead(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        select(samples.fleet(), text)


def test_exec_takes_the_first_that_runs() -> None:
    assert one_running(samples.fleet(), "guestbook/web").name == "web.1"


def test_exec_wants_a_service() -> None:
    with pytest.raises(
        UsageError, match="say which service of it; there are: guestbook/db, guestbook/off, guestbook/web"
    ):
        one_running(samples.fleet(), "guestbook")


def several() -> FleetStatus:
    """Replica 1 of web has two containers more."""
    status = samples.fleet()
    guestbook = status.stacks[0]
    web = next(service for service in guestbook.services if service.name == "web")
    members = (
        MemberStatus("migrate", "init", "exited", "none", "c" * 64, 0),
        MemberStatus("log", "sidecar", "running", "none", "d" * 64),
    )
    services = tuple(
        replace(service, replicas=(replace(web.replicas[0], members=members), *web.replicas[1:]))
        if service is web
        else service
        for service in guestbook.services
    )
    return replace(status, stacks=(replace(guestbook, services=services), *status.stacks[1:]))


def test_another_container_of_a_replica() -> None:
    (found,) = select(several(), "guestbook/web", "migrate")
    assert (found.name, found.id, found.node) == ("web.1/migrate", "c" * 64, "node1")
    assert one_running(several(), "guestbook/web", "log").id == "d" * 64
    assert one_running(several(), "guestbook/web").id == "a" * 64


def test_a_container_that_no_replica_has() -> None:
    with pytest.raises(UsageError, match=r"have no container 'logg' .* beside their main one they have: log, migrate"):
        select(several(), "guestbook/web", "logg")
    with pytest.raises(UsageError, match=r"have no container 'log' .* they have one container each"):
        select(samples.fleet(), "guestbook/web", "log")
    with pytest.raises(UsageError, match=r"no container of guestbook/web is running: web.1/migrate is exited"):
        one_running(several(), "guestbook/web", "migrate")
