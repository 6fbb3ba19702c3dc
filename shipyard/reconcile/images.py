"""Image tags into digests, once, at apply: so that all nodes run the same, and a rollback is a rollback.

Images that came from no registry are resolved to their ids, where all nodes that have one have the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shipyard.base.record import Struct, replace
from shipyard.model.container import ContainerSpec
from shipyard.model.image import repository_of
from shipyard.model.observed import ObservedImage
from shipyard.model.plan import Notice
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import ServiceSpec, StackSpec


class Wanted(Struct, frozen=True):
    """An image as written, the nodes that may run it, and whether the registry must be asked.

    `before`: the digest that the stack's last revision resolved it to, None for none.
    """

    reference: str
    platform: str | None
    nodes: tuple[str, ...]
    ask: bool
    before: str | None = None


def wanted(stacks: Iterable[DesiredStack], previous: Mapping[str, StackSpec]) -> list[Wanted]:
    """Every image of these stacks that has to be resolved, sorted by reference."""
    found: dict[tuple[str, str | None], Wanted] = {}
    for stack in stacks:
        before = previous.get(stack.revision.stack)
        for service in stack.revision.spec.services:
            for container in _containers(service):
                if is_resolved(container.image):
                    continue
                key = (container.image, container.platform)
                old = found.get(key, Wanted(container.image, container.platform, (), False))
                found[key] = replace(
                    old,
                    nodes=tuple(sorted({*old.nodes, *stack.eligible_for(service.name)})),
                    ask=old.ask or _asks(container),
                    before=old.before or _as_before(before, service.name, container.image),
                )
    return [found[key] for key in sorted(found, key=lambda key: (key[0], key[1] or ""))]


def is_resolved(image: str) -> bool:
    """Whether a reference already names exactly one image."""
    return "@sha256:" in image or image.startswith("sha256:")


def _containers(service: ServiceSpec) -> list[ContainerSpec]:
    return list(service.containers())


def _asks(container: ContainerSpec) -> bool:
    """Compose: `missing` by default, and `latest` is always asked for."""
    if container.pull_policy in ("never", "always"):
        return container.pull_policy == "always"
    name = container.image.rsplit("/", 1)[-1]
    return ":" not in name or name.endswith(":latest")


def _as_before(before: StackSpec | None, service: str, written: str) -> str | None:
    old = before.service(service) if before is not None else None
    resolved = dict(old.images).get(written) if old is not None else None
    return resolved if resolved is not None and "sha256:" in resolved else None


def needs_pull(situation: Situation, wants: Iterable[Wanted]) -> list[tuple[str, Wanted]]:
    """Where to ask the registry for what: one node an image, the first that can be acted on."""
    pulls = []
    seen = situation.seen()
    for want in wants:
        nodes = [name for name in want.nodes if name in seen]
        if _stays(situation, want):
            continue
        have = [name for name in nodes if _found(situation, name, want.reference) is not None]
        if nodes and (want.ask or not have):
            pulls.append(((have or nodes)[0], want))
    return pulls


def _stays(situation: Situation, want: Wanted) -> bool:
    """Whether an image stays what it was: applying the same file again must change nothing.

    Not where the registry is to be asked (`latest`, `always`), nor where the tag means another image on the nodes now.
    """
    if want.ask or want.before is None:
        return False
    tagged = [_found(situation, name, want.reference) for name in want.nodes if name in situation.seen()]
    there = [image for image in tagged if image is not None]
    if not there:
        return "@sha256:" in want.before  # an image that came from no registry can't be had by its id elsewhere
    if not any(want.before == image.id or want.before in image.digests for image in there):
        return False
    return not _made_up(situation, want, want.before)


def _made_up(situation: Situation, want: Wanted, digest: str) -> bool:
    """Whether podman alone knows an image by this digest, and a docker has the very same image without one.

    Podman gives one to what was only loaded. Nobody else could ever have the image by it.
    """
    having, without = set[str](), set[str]()
    by_docker = False
    for name in want.nodes:
        node = situation.seen().get(name)
        image = _found(situation, name, want.reference) if node is not None else None
        if node is None or image is None or digest == image.id:
            continue
        if digest in image.digests:
            having.add(image.id)
            by_docker |= node.facts.runtime != "podman"
        elif node.facts.runtime != "podman" and not _digests(image, want.reference):
            without.add(image.id)
    return not by_docker and not having.isdisjoint(without)


def _found(situation: Situation, node: str, reference: str) -> ObservedImage | None:
    images = situation.seen()[node].images
    return next((image for image in images if image.reference == reference), None)


def resolutions(
    situation: Situation, wants: Iterable[Wanted], pulled: Mapping[str, str]
) -> tuple[dict[str, str], tuple[Notice, ...]]:
    """What each reference stands for, and what people should know. `pulled`: the node it was just asked for on."""
    known, notices = {}, []
    for want in wants:
        there = {
            name: image
            for name in want.nodes
            if name in situation.seen() and (image := _found(situation, name, want.reference)) is not None
        }
        stays = want.before if _stays(situation, want) else None
        exact = stays or _exact(there, want.reference, pulled.get(want.reference))
        if exact is not None:
            known[want.reference] = exact
        elif there:
            detail = f"is not the same image on {', '.join(sorted(there))}, and came from no registry"
            notices.append(Notice(want.reference, "ImageDiffers", detail))
    return known, tuple(notices)


def _exact(there: Mapping[str, ObservedImage], reference: str, pulled_on: str | None) -> str | None:
    """One name for one image. Podman gives images that were only loaded a digest too, which no registry knows:

    a digest counts when it was just pulled, or when every node that has the image has it by that digest.
    """
    if pulled_on is not None and pulled_on in there:
        fresh = _digests(there[pulled_on], reference)
        if fresh:
            return min(fresh)
    everywhere = [_digests(image, reference) for image in there.values()]
    common = set.intersection(*everywhere) if everywhere else set()
    if common:
        return min(common)
    ids = {image.id for image in there.values()}
    return min(ids) if len(ids) == 1 else None


def _digests(image: ObservedImage, reference: str) -> set[str]:
    """The digests of this very repository."""
    repository = repository_of(reference)
    return {
        digest
        for digest in image.digests
        if "@sha256:" in digest and repository_of(digest.partition("@")[0]) == repository
    }


def resolve(spec: StackSpec, known: Mapping[str, str]) -> StackSpec:
    """The spec with resolved images; each service remembers what was written."""
    return replace(spec, services=tuple(_resolved(service, known) for service in spec.services))


def _resolved(service: ServiceSpec, known: Mapping[str, str]) -> ServiceSpec:
    def image(container: ContainerSpec) -> str:
        return known.get(container.image, container.image)

    pairs = {
        **dict(service.images),
        **{each.image: image(each) for each in _containers(service) if image(each) != each.image},
    }

    def used(container: ContainerSpec) -> ContainerSpec:
        members = tuple(replace(member, container=used(member.container)) for member in container.members)
        return replace(container, image=image(container), members=members)

    return replace(
        service,
        container=used(service.container),
        variants=tuple((node, used(container)) for node, container in service.variants),
        images=tuple(sorted(pairs.items())),
    )
