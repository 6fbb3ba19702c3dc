"""New revisions out of old ones: what changes, what stays, and what is carried from one to the next."""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model.container import Attachment, ConfigMount, ContainerSpec, Mount
from shipyard.model.spec import ConfigSpec, Dependency, NetworkSpec, SecretSpec, ServiceSpec, StackSpec, VolumeSpec
from shipyard.planner import revising


def container(name: str) -> ContainerSpec:
    """One that uses a network, a volume and a config called after it."""
    return ContainerSpec(
        name,
        networks=(Attachment(f"s_{name}"),),
        mounts=(Mount("volume", "/v", f"s_{name}"),),
        configs=(ConfigMount(f"s_{name}", name, "/c"),),
        secrets=(ConfigMount(name, name, "/s"),),
    )


def stack(*services: ServiceSpec) -> StackSpec:
    names = sorted({service.container.image for service in services})
    return StackSpec(
        "s",
        services,
        tuple(NetworkSpec(f"s_{name}", name) for name in names),
        tuple(VolumeSpec(f"s_{name}", name) for name in names),
        tuple(ConfigSpec(f"s_{name}", name, name.encode(), name) for name in names),
        tuple(SecretSpec(f"s_{name}", name, digest=name) for name in names),
    )


def test_one_service_goes_back_with_what_it_uses() -> None:
    before = stack(ServiceSpec("api", container("a")), ServiceSpec("web", container("b")))
    head = stack(ServiceSpec("api", container("c")), ServiceSpec("web", container("d"), replicas=4))
    back = revising.undone(head, before, ["web"])
    assert back.services == (head.services[0], before.services[1])
    assert [each.name for each in back.networks] == ["s_b", "s_c", "s_d"]
    assert [each.name for each in back.volumes] == ["s_b", "s_c", "s_d"]
    assert [each.name for each in back.configs] == ["s_b", "s_c"]
    assert [each.key for each in back.secrets] == ["b", "c"]


def test_what_was_scaled_since_stays_so() -> None:
    before = stack(ServiceSpec("web", container("a"), replicas=2))
    head = revising.scaled(stack(ServiceSpec("web", container("b"), replicas=2)), "web", 7)
    (web,) = revising.undone(head, before, ["web"]).services
    assert (web.container.image, web.replicas, web.scaled) == ("a", 7, True)


def test_a_restart_makes_other_containers_also_where_they_vary() -> None:
    service = ServiceSpec("web", container("a"), variants=(("n1", container("b")),))
    (web,) = revising.restarted(stack(service), "web", "now").services
    assert web.container == replace(service.container, stamps=(("restarted", "now"),))
    assert web.variants[0][1].stamps == (("restarted", "now"),)
    (again,) = revising.restarted(stack(web), "web", "later").services
    assert again.container.stamps == (("restarted", "later"),)
    assert revising.carried_over(service, again) == again
    assert revising.carried_over(service, service) == service


def test_what_restarts_with_another_carries_what_that_is_made_from() -> None:
    def made(image: str) -> dict[str, ServiceSpec]:
        follows = (Dependency("db", restart=True),)
        services = (
            ServiceSpec("api", container("a"), depends_on=follows),
            ServiceSpec("db", container(image)),
            ServiceSpec("web", container("a"), depends_on=(Dependency("api", restart=True), Dependency("db"))),
        )
        spec = revising.followed(stack(*services))
        assert revising.followed(spec) == spec
        return {service.name: service for service in spec.services}

    one, other = made("b"), made("c")
    assert [name for name, _ in one["web"].container.stamps] == ["after api"]
    assert one["db"].container.stamps == ()
    assert one["api"].container.stamps != other["api"].container.stamps
    assert one["web"].container.stamps != other["web"].container.stamps
