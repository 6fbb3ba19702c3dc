"""Tags into digests: what was resolved once stays what it was, until somebody asks for something newer."""

from __future__ import annotations

import pytest

from shipyard.model.container import ContainerSpec
from shipyard.model.observed import Facts, ObservedImage, ObservedNode
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import Revision, ServiceSpec, StackSpec
from shipyard.reconcile import images

TAG, OLD, NEW = "r.example/app:1", f"r.example/app@sha256:{'a' * 64}", f"r.example/app@sha256:{'b' * 64}"
ID = f"sha256:{'1' * 64}"


def stack(container: ContainerSpec, *, resolved: str | None = None) -> StackSpec:
    pairs = ((container.image, resolved),) if resolved is not None else ()
    return StackSpec("s", (ServiceSpec("web", container, images=pairs),))


def resolved(
    container: ContainerSpec, there: dict[str, tuple[ObservedImage, ...]], before: str | None = OLD
) -> tuple[list[str], str]:
    """Where the registry would be asked, and what the image would be."""
    spec = stack(container)
    desired = (DesiredStack(Revision("s", 2, spec, "", 0.0, ""), (("web", tuple(there)),)),)
    nodes = tuple(
        ObservedNode(name, Facts("id", runtime="podman" if "podman" in name else "docker"), images=found)
        for name, found in there.items()
    )
    wants = images.wanted(desired, {"s": stack(container, resolved=before)})
    situation = Situation("c", 0.0, (), desired, observed=nodes)
    pulls = [node for node, _ in images.needs_pull(situation, wants)]
    known, _ = images.resolutions(situation, wants, {})
    return pulls, images.resolve(spec, known).services[0].container.image


def image(*digests: str) -> tuple[ObservedImage, ...]:
    return (ObservedImage(TAG, ID, digests),)


@pytest.mark.parametrize(
    "there",
    [{"n1": (), "n2": ()}, {"n1": image(OLD), "n2": ()}, {"n1": image(OLD, NEW), "n2": ()}],
    ids=["the tag is nowhere", "where it was pulled", "under two digests"],
)
def test_a_tag_that_was_resolved_stays(there: dict[str, tuple[ObservedImage, ...]]) -> None:
    assert resolved(ContainerSpec(TAG), there) == ([], OLD)


def test_an_image_that_came_from_no_registry_stays_though_fewer_nodes_are_there_to_say_what_it_is() -> None:
    """Podman gives what was only loaded a digest, docker none: while both are there, its id says which one it is."""
    assert resolved(ContainerSpec(TAG), {"n1": image(OLD), "n2": image()}, before=None) == ([], ID)
    assert resolved(ContainerSpec(TAG), {"n1": image(OLD)}, before=ID) == ([], ID)
    other = (ObservedImage(TAG, f"sha256:{'2' * 64}", (NEW,)),)
    assert resolved(ContainerSpec(TAG), {"n1": other}, before=ID) == ([], NEW)
    assert resolved(ContainerSpec(TAG), {"n1": ()}, before=ID) == (["n1"], TAG)


def test_a_digest_that_podman_made_up_goes_once_a_docker_has_the_image_without_one() -> None:
    """It was resolved while only nodes with podman had it; no docker can ever have it by that."""
    loaded = {"podman-1": image(OLD), "docker-2": ()}
    assert resolved(ContainerSpec(TAG), loaded, before=None) == ([], OLD)
    assert resolved(ContainerSpec(TAG), loaded) == ([], OLD)
    assert resolved(ContainerSpec(TAG), {**loaded, "docker-2": image()}) == ([], ID)
    assert resolved(ContainerSpec(TAG), {**loaded, "docker-2": image(OLD)}) == ([], OLD)
    pulled = {**loaded, "docker-2": image(), "docker-3": image(OLD)}
    assert resolved(ContainerSpec(TAG), pulled) == ([], OLD), "a docker has it from a registry"


def test_a_tag_that_means_another_image_on_the_nodes_is_resolved_anew() -> None:
    assert resolved(ContainerSpec(TAG), {"n1": image(NEW)}) == ([], NEW)


def test_what_was_never_resolved_is_asked_for() -> None:
    assert resolved(ContainerSpec(TAG), {"n1": (), "n2": ()}, before=None) == (["n1"], TAG)


def test_who_asks_for_the_newest_gets_asked_for() -> None:
    assert resolved(ContainerSpec(TAG, pull_policy="always"), {"n1": image(NEW)}) == (["n1"], NEW)
