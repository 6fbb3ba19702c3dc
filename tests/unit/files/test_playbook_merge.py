"""Pruning and --tags: what a stack is after some of its files were applied again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shipyard.base.errors import FileError
from shipyard.base.record import replace
from shipyard.files.compose.tags import selected
from shipyard.files.playbook import Merged, merge
from shipyard.model.container import Attachment, ConfigMount, ContainerSpec, Mount, RestartPolicy
from shipyard.model.spec import ConfigSpec, Dependency, NetworkSpec, ServiceSpec, StackSpec, VolumeSpec


def service(name: str, file: str = "a.yml", image: str = "old", **more: object) -> ServiceSpec:
    return ServiceSpec(name, ContainerSpec(image), file=file, **more)  # type: ignore[arg-type]  # fields as they are


def stack(*services: ServiceSpec) -> StackSpec:
    return StackSpec("shop", services)


def merged(
    previous: StackSpec | None, loaded: StackSpec, files: Sequence[str] = ("a.yml",), **options: object
) -> tuple[dict[str, str], Merged]:
    made = merge(previous, loaded, files=files, **options)  # type: ignore[arg-type]  # passed on
    return {service.name: service.container.image for service in made.stack.services}, made


def test_the_first_time_everything_is_new() -> None:
    images, made = merged(None, stack(service("web", image="new")))
    assert images == {"web": "new"} and made.dropped == ()


def test_what_the_file_no_longer_declares_goes_and_what_others_declared_stays() -> None:
    before = stack(service("cache"), service("db", "b.yml"), service("web"))
    images, made = merged(before, stack(service("web", image="new")))
    assert images == {"db": "old", "web": "new"}
    assert made.dropped == ("cache",)


def test_prune_makes_the_files_the_whole_stack() -> None:
    before = stack(service("db", "b.yml"), service("web"))
    images, made = merged(before, stack(service("web", image="new")), prune=True)
    assert images == {"web": "new"} and made.dropped == ("db",)


def test_a_file_that_declares_nothing_any_more() -> None:
    images, made = merged(stack(service("db", "b.yml"), service("web")), stack())
    assert images == {"db": "old"} and made.dropped == ("web",)


def test_tags_change_only_what_has_them() -> None:
    before = stack(
        service("blue", tags=("blue",)), service("gone", tags=("blue",)), service("kept"), service("red", tags=("red",))
    )
    after = stack(
        service("blue", image="new", tags=("blue",)),
        service("fresh", image="new", tags=("blue",)),
        service("later", image="new"),
        service("red", image="new", tags=("red",)),
    )
    images, made = merged(before, after, tags=["blue"])
    assert images == {"blue": "new", "fresh": "new", "kept": "old", "red": "old"}
    assert made.dropped == ("gone",)


def test_prune_with_tags_removes_only_what_has_them() -> None:
    before = stack(service("db", "b.yml", tags=("data",)), service("web", "b.yml", tags=("front",)))
    images, made = merged(before, stack(), tags=["front"], prune=True)
    assert images == {"db": "old"} and made.dropped == ("web",)


def test_never_waits_to_be_named() -> None:
    after = stack(service("debug", image="new", tags=("never", "debug")))
    assert merged(None, after)[0] == {}
    assert merged(None, after, tags=["debug"])[0] == {"debug": "new"}
    assert merged(stack(service("debug", tags=("never", "debug"))), after)[0] == {"debug": "old"}


def test_a_service_that_another_file_declared_is_taken_over_and_said() -> None:
    images, made = merged(stack(service("web", "b.yml")), stack(service("web", image="new")))
    assert images == {"web": "new"}
    assert made.notices == ("web was declared by b.yml before, and is by a.yml now",)


def test_a_service_that_is_needed_must_be_somewhere() -> None:
    web = service("web", depends_on=(Dependency("db"),))
    assert merged(stack(service("db", "b.yml")), stack(web))[1].dropped == ()
    with pytest.raises(FileError) as caught:
        merged(stack(service("db")), stack(web))
    assert str(caught.value) == (
        "a.yml: services.web.depends_on: needs the service 'db', which is declared neither in these files nor by "
        "others before\n  hint: there are web"
    )


def test_what_is_not_required_may_be_nowhere() -> None:
    web = service("web", depends_on=(Dependency("db", required=False),))
    assert merged(None, stack(web))[0] == {"web": "old"}


def test_what_was_scaled_by_command_is_what_the_file_says_and_that_is_said() -> None:
    before = stack(replace(service("web"), replicas=5, scaled=True))
    assert merged(before, stack(service("web")))[1].notices == ("web was scaled to 5; the file says 1, and wins",)
    assert merged(before, stack(replace(service("web"), replicas=5)))[1].notices == ()


def test_a_restart_outlives_the_next_apply() -> None:
    before = service("web")
    before = replace(before, container=replace(before.container, stamps=(("restarted", "now"),)))
    (web,) = merged(stack(before), stack(service("web", image="new")))[1].stack.services
    assert (web.container.image, web.container.stamps) == ("new", (("restarted", "now"),))


def test_what_has_to_complete_ends() -> None:
    web = service("web", depends_on=(Dependency("job", "service_completed_successfully"),))
    job, _ = merged(None, stack(service("job"), web))[1].stack.services
    assert job.container.restart == RestartPolicy("none")
    again = replace(job, container=replace(job.container, restart=RestartPolicy("any")))
    with pytest.raises(FileError) as caught:
        merged(None, stack(again, web))
    assert str(caught.value) == (
        "a.yml: services.job.restart: is restarted whenever it ends, and so never completes, for which web waits\n"
        '  hint: write restart: "no", or on-failure'
    )


def using(name: str, file: str, *, config: bytes = b"") -> tuple[ServiceSpec, StackSpec]:
    """A service with a network, a volume and a config called after it, and the stack that declares them."""
    container = ContainerSpec(
        "nginx",
        networks=(Attachment(f"shop_{name}"),),
        mounts=(Mount("volume", "/v", f"shop_{name}"), Mount("bind", "/b", "/b")),
        configs=(ConfigMount("shop_c", f"digest-{config!r}", "/c"),),
    )
    spec = ServiceSpec(name, container, file=file, tags=(name,))
    return spec, StackSpec(
        "shop",
        (spec,),
        (NetworkSpec(f"shop_{name}", name),),
        (VolumeSpec(f"shop_{name}", name),),
        (ConfigSpec("shop_c", "c", config, f"digest-{config!r}"),),
    )


def names(made: Merged) -> tuple[list[str], list[str], list[bytes]]:
    spec = made.stack
    return (
        [network.name for network in spec.networks],
        [volume.name for volume in spec.volumes],
        [config.content for config in spec.configs],
    )


def test_what_nothing_uses_any_more_goes_with_its_services() -> None:
    _, before = using("db", "b.yml", config=b"1")
    _, now = using("web", "a.yml", config=b"1")
    assert names(merged(before, now)[1]) == (["shop_db", "shop_web"], ["shop_db", "shop_web"], [b"1"])
    assert names(merged(before, now, prune=True)[1]) == (["shop_web"], ["shop_web"], [b"1"])


def test_a_service_that_stays_keeps_the_content_it_has() -> None:
    (db, before), (web, now) = using("db", "a.yml", config=b"1"), using("web", "a.yml", config=b"2")
    now = replace(now, services=(db, web))
    assert names(merged(before, now, tags=["web"])[1])[2] == [b"1", b"2"]


def test_what_variants_use_stays() -> None:
    web, now = using("web", "a.yml")
    other = replace(web.container, mounts=(Mount("volume", "/v", "shop_other"),))
    now = replace(
        now,
        services=(replace(web, variants=(("node2", other),), per_node=True),),
        volumes=(*now.volumes, VolumeSpec("shop_other", "other")),
    )
    assert names(merged(None, now)[1])[1] == ["shop_other", "shop_web"]


def test_the_declaration_read_last_counts() -> None:
    _, before = using("web", "a.yml")
    _, now = using("web", "a.yml")
    now = replace(now, networks=(replace(now.networks[0], internal=True),))
    assert merged(before, now)[1].stack.networks == now.networks


@pytest.mark.parametrize(
    ("have", "want", "expected"),
    [
        ((), (), True),
        (("a",), (), True),
        (("a",), ("a",), True),
        (("a",), ("b",), False),
        ((), ("a",), False),
        (("always",), ("b",), True),
        (("never",), (), False),
        (("never", "a"), ("a",), True),
        (("never", "always"), (), False),
        (("never",), ("all",), False),
        (("a",), ("tagged",), True),
        ((), ("tagged",), False),
        ((), ("untagged",), True),
        (("a",), ("untagged",), False),
        (("a",), ("all",), True),
    ],
)
def test_tags_select_as_ansible_has_them(have: tuple[str, ...], want: tuple[str, ...], expected: bool) -> None:
    assert selected(have, want) is expected
