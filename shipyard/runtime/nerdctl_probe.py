"""How a node with nerdctl is looked at. Experimental: written from nerdctl's documentation, not run for real yet.

Nerdctl's templates differ between its versions, so whole JSON is read here, of which little is taken for granted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from shipyard.base import shell
from shipyard.model.observed import Container, ObservedImage, ObservedNetwork, ObservedVolume
from shipyard.runtime import answers, probing, strictjson, usage
from shipyard.runtime.dialect import ProbeRequest, RuntimeState

_SCRIPT = r"""
sy_rt_ps() { sy_rt_ids=$(nerdctl ps --all --quiet --no-trunc --filter @OWN@); }
sy_rt_inspect() {
  [ -n "$sy_rt_ids" ] || return 0
  nerdctl container inspect $sy_rt_ids && return 0
  # One of them may have gone away meanwhile: what is printed twice is read once.
  sy_rt_ps && { [ -z "$sy_rt_ids" ] || nerdctl container inspect $sy_rt_ids; }
}
sy_rt_kind() {
  sy_rt_found=$(nerdctl "$1" ls --quiet) || return
  [ -z "$sy_rt_found" ] || nerdctl "$1" inspect $sy_rt_found
}
sy_rt_images() {
  for sy_rt_image; do
    printf 'asked %s\n' "$sy_rt_image"
    nerdctl image inspect "$sy_rt_image" 2>/dev/null || :
  done
}
section containers sy_rt_ps
section inspect sy_rt_inspect
section networks sy_rt_kind network
section volumes sy_rt_kind volume
section images sy_rt_images @IMAGES@
"""

_ASKED = re.compile(r"^asked (.*)\n", re.MULTILINE)
_PLAIN_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
_DECODER = json.JSONDecoder()


def text(request: ProbeRequest) -> str:
    """The probe's shell text."""
    images = shell.join(image for image in request.images if probing.lookup(image))
    version = "section runtime-version nerdctl --version\n" if request.version else ""
    script = _SCRIPT.replace("@OWN@", probing.own(request)).replace("@IMAGES@", images)
    return version + script + (usage.docker("nerdctl") if request.usage else "")


def parse(sections: Mapping[str, bytes], clock: float) -> RuntimeState:
    """What the probe printed. Raises ValueError."""
    said = sections.get("runtime-version", b"").decode("utf-8", "replace").split()
    answers.section(sections, "containers")
    boxes = {box.id: box for box in (_container(item, clock) for item in _objects(sections, "inspect"))}
    networks = [_network(item) for item in _objects(sections, "networks")]
    volumes = [_volume(item) for item in _objects(sections, "volumes")]
    return RuntimeState(
        version=said[2] if len(said) > 2 else "",
        containers=tuple(sorted(boxes.values(), key=lambda box: box.name)),
        networks=tuple(sorted(networks, key=lambda network: network.name)),
        volumes=tuple(sorted(volumes, key=lambda volume: volume.name)),
        images=tuple(sorted(_images(answers.section(sections, "images")), key=lambda image: image.reference)),
        usage=usage.of_docker(sections.get(usage.SECTION, b"")),
    )


def _objects(sections: Mapping[str, bytes], name: str) -> Iterator[dict[str, Any]]:
    return _decoded(answers.section(sections, name).decode("utf-8", "replace"))


def _decoded(body: str) -> Iterator[dict[str, Any]]:
    """All objects of the JSON lists in a text, one after the other."""
    rest = body.strip()
    while rest:
        try:
            value, end = _DECODER.raw_decode(rest)
        except RecursionError:
            raise ValueError("JSON that is nested too deeply") from None
        for item in value if isinstance(value, list) else [value]:
            yield strictjson.mapping(item)
        rest = rest[end:].lstrip()


def _container(item: dict[str, Any], clock: float) -> Container:
    state, config = strictjson.mapping(item.get("State")), strictjson.mapping(item.get("Config"))
    networks = strictjson.mapping(strictjson.mapping(item.get("NetworkSettings")).get("Networks"))
    image = item.get("Image")
    return answers.container(
        [
            item.get("Id"),
            item.get("Name"),
            image if isinstance(image, str) and _PLAIN_ID.fullmatch(image) else "",
            item.get("RestartCount") or 0,
            [
                state.get("Status"),
                state.get("ExitCode") or 0,
                state.get("OOMKilled"),
                state.get("Error") or "",
                state.get("StartedAt") or "",
                state.get("FinishedAt") or "",
                strictjson.mapping(state.get("Health")).get("Status") or "",
            ],
            config.get("Labels"),
            [
                [
                    name,
                    there.get("Aliases"),
                    there.get("IPAddress"),
                    there.get("MacAddress"),
                    None,
                    there.get("GlobalIPv6Address"),
                ]
                for name, there in ((name, strictjson.mapping(value)) for name, value in networks.items())
            ],
            [
                [
                    there.get("Type") or "",
                    there.get("Destination") or "",
                    there.get("Name") or there.get("Source") or "",
                ]
                for there in map(strictjson.mapping, strictjson.listed(item.get("Mounts")))
            ],
        ],
        clock,
    )


def _network(item: dict[str, Any]) -> ObservedNetwork:
    """Nerdctl's own `host` and `none` have no id."""
    subnets = strictjson.listed(strictjson.mapping(item.get("IPAM")).get("Config"))
    return ObservedNetwork(
        strictjson.text(item.get("Id") or ""),
        strictjson.text(item.get("Name")),
        strictjson.pairs(item.get("Labels")),
        strictjson.text(item.get("Driver") or ""),
        tuple(strictjson.text(strictjson.mapping(each).get("Subnet") or "") for each in subnets),
        item.get("Internal") is True,
    )


def _volume(item: dict[str, Any]) -> ObservedVolume:
    return ObservedVolume(
        strictjson.text(item.get("Name")),
        strictjson.pairs(item.get("Labels")),
        strictjson.text(item.get("Driver") or "local"),
    )


def _images(body: bytes) -> Iterator[ObservedImage]:
    _, *parts = _ASKED.split(body.decode("utf-8", "replace"))
    for reference, said in zip(parts[::2], parts[1::2], strict=True):
        for item in _decoded(said):
            names = tuple(sorted(strictjson.text(digest) for digest in strictjson.listed(item.get("RepoDigests"))))
            yield ObservedImage(reference, strictjson.image_id(item.get("Id")), names)
