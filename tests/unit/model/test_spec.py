"""What differs from one replica of a service to the next."""

from __future__ import annotations

import pytest

from shipyard.base.record import replace
from shipyard.model.container import Attachment, ContainerSpec, Member, Mount
from shipyard.model.spec import ServiceSpec, StackSpec, VolumeSpec

TEMPLATE = ContainerSpec(
    "db:1",
    mounts=(Mount("volume", "/data", "s_data"), Mount("volume", "/both", "s_both")),
    networks=(Attachment("s_default", ("db",)),),
)


def test_without_names_of_their_own_all_replicas_are_made_from_the_template() -> None:
    service = ServiceSpec("db", TEMPLATE)
    assert service.container_for("n1", 1) is service.container_for("n1", 2) is TEMPLATE


def test_each_replica_has_its_volume_its_host_name_and_its_alias() -> None:
    service = ServiceSpec("db", TEMPLATE, per_replica=("s_data",), stable_names=True)
    second = service.container_for("n1", 2)
    assert [mount.source for mount in second.mounts] == ["s_data_2", "s_both"]
    assert second.hostname == "db-2"
    assert second.networks == (Attachment("s_default", ("db", "db-2")),)


def test_names_begin_where_they_are_said_to_and_stand_where_their_token_does() -> None:
    side = Member("side", "sidecar", ContainerSpec("side:1", command=("--of", "@ME@")))
    inside = replace(
        TEMPLATE, environment=(("HOST", "@ME@.db"), ("TZ", "UTC")), entrypoint=("run", "@ME@"), members=(side,)
    )
    service = ServiceSpec("db", inside, stable_names=True, names_from=0, name_token="@ME@")
    first = service.container_for("n1", 1)
    assert first.hostname == "db-0"
    assert first.networks == (Attachment("s_default", ("db", "db-0")),)
    assert first.environment == (("HOST", "db-0.db"), ("TZ", "UTC"))
    assert (first.entrypoint, first.command) == (("run", "db-0"), None)
    assert first.members[0].container.command == ("--of", "db-0")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("s_data_2", VolumeSpec("s_data_2", "data", per_replica=True)),
        ("s_data_12", VolumeSpec("s_data_12", "data", per_replica=True)),
        ("s_both", VolumeSpec("s_both", "both")),
        ("s_both_2", None),
        ("s_data_x", None),
        ("s_data_", None),
    ],
)
def test_a_replicas_volume_is_found_by_its_full_name(name: str, found: VolumeSpec | None) -> None:
    volumes = (VolumeSpec("s_both", "both"), VolumeSpec("s_data", "data", per_replica=True))
    assert StackSpec("s", volumes=volumes).volume(name) == found
