"""Image tags into digests, once, at apply: so that all nodes run the same, and a rollback is a rollback.

Images that came from no registry are resolved to their ids, where all nodes that have one have the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from shipyard.model.observed import ObservedImage
from shipyard.model.plan import Notice
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import ContainerSpec, ServiceSpec, StackSpec


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image as written, the nodes that may run it, and whether the registry must be asked."""

    reference: str
    platform: str | None
    nodes: tuple[str, ...]
    ask: bool


def wanted(stacks: Iterable[DesiredStack], previous: Mapping[str, StackSpec]) -> list[Wanted]:
    """Every image of these stacks that has to be resolved, sorted by reference.

    One that the stack's last revision resolved to a registry's digest stays what it was, unless its tag is `latest`
    or its pull policy is `always`: applying the same file again must change nothing.
    """
    found: dict[tuple[str, str | None], Wanted] = {}
    for stack in stacks:
        before = previous.get(stack.revision.stack)
        for service in stack.revision.spec.services:
            for container in _containers(service):
                if is_resolved(container.image):
                    continue
                if not _asks(container) and _as_before(before, service.name, container.image):
                    continue
                key = (container.image, container.platform)
                nodes = stack.eligible_for(service.name)
                old = found.get(key, Wanted(container.image, container.platform, (), False))
                found[key] = replace(old, nodes=tuple(sorted({*old.nodes, *nodes})), ask=old.ask or _asks(container))
    return [found[key] for key in sorted(found, key=lambda key: (key[0], key[1] or ""))]


def is_resolved(image: str) -> bool:
    """Whether a reference already names exactly one image."""
    return "@sha256:" in image or image.startswith("sha256:")


def _containers(service: ServiceSpec) -> list[ContainerSpec]:
    return [service.container, *(container for _, container in service.variants)]


def _asks(container: ContainerSpec) -> bool:
    """Compose: `missing` by default, and `latest` is always asked for."""
    if container.pull_policy in ("never", "always"):
        return container.pull_policy == "always"
    name = container.image.rsplit("/", 1)[-1]
    return ":" not in name or name.endswith(":latest")


def _as_before(before: StackSpec | None, service: str, written: str) -> str | None:
    old = before.service(service) if before is not None else None
    resolved = dict(old.images).get(written) if old is not None else None
    return resolved if resolved is not None and "@sha256:" in resolved else None


def needs_pull(situation: Situation, wants: Iterable[Wanted]) -> list[tuple[str, Wanted]]:
    """Where to ask the registry for what: one node an image, the first that can be acted on."""
    pulls = []
    seen = situation.seen()
    for want in wants:
        nodes = [name for name in want.nodes if name in seen]
        have = [name for name in nodes if _found(situation, name, want.reference) is not None]
        if nodes and (want.ask or not have):
            pulls.append(((have or nodes)[0], want))
    return pulls


def _found(situation: Situation, node: str, reference: str) -> ObservedImage | None:
    images = situation.seen()[node].images
    return next((image for image in images if image.reference == reference), None)


def resolutions(
    situation: Situation, wants: Iterable[Wanted], pulled: Mapping[str, str]
) -> tuple[dict[str, str], tuple[Notice, ...]]:
    """What each reference stands for, and what people should know. `pulled`: the node it was just asked for on."""
    known, notices = {}, []
    for want in wants:
        nodes = [name for name in want.nodes if name in situation.seen()]
        first = pulled.get(want.reference)
        order = [first, *nodes] if first is not None and first in nodes else nodes
        there = [(name, image) for name in order if (image := _found(situation, name, want.reference)) is not None]
        digest = next((found for _, image in there if (found := _digest(image, want.reference))), None)
        ids = sorted({image.id for _, image in there})
        if digest is not None:
            known[want.reference] = digest
        elif len(ids) == 1:
            known[want.reference] = ids[0]
        elif ids:
            detail = f"came from no registry and is not the same image on {', '.join(name for name, _ in there)}"
            notices.append(Notice(want.reference, "ImageDiffers", detail))
    return known, tuple(notices)


def _digest(image: ObservedImage, reference: str) -> str | None:
    """The registry's digest of this very repository. `localhost/…` is podman's word for made here."""
    repository = _repository(reference)
    for digest in image.digests:
        name = digest.partition("@")[0]
        if name.startswith("localhost/") or not digest.partition("@")[2].startswith("sha256:"):
            continue
        if _repository(name) == repository:
            return digest
    return None


def _repository(reference: str) -> str:
    """A repository's full name, as docker fills it up: `redis` is `docker.io/library/redis`."""
    name = reference.partition("@")[0]
    head, _, last = name.rpartition("/")
    name = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
    first = name.partition("/")[0]
    if "/" not in name:
        return f"docker.io/library/{name}"
    return name if "." in first or ":" in first or first == "localhost" else f"docker.io/{name}"


def resolve(spec: StackSpec, known: Mapping[str, str], before: StackSpec | None) -> StackSpec:
    """The spec with resolved images; each service remembers what was written."""
    return replace(spec, services=tuple(_resolved(service, known, before) for service in spec.services))


def _resolved(service: ServiceSpec, known: Mapping[str, str], before: StackSpec | None) -> ServiceSpec:
    def image(container: ContainerSpec) -> str:
        written = container.image
        if is_resolved(written):
            return written
        return known.get(written) or (not _asks(container) and _as_before(before, service.name, written)) or written

    pairs = {
        **dict(service.images),
        **{each.image: image(each) for each in _containers(service) if image(each) != each.image},
    }

    def used(container: ContainerSpec) -> ContainerSpec:
        return replace(container, image=image(container))

    return replace(
        service,
        container=used(service.container),
        variants=tuple((node, used(container)) for node, container in service.variants),
        images=tuple(sorted(pairs.items())),
    )
