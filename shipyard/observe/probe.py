"""The one script by which a node is observed, and what its answer comes to.

It reads, and changes nothing on the node but this: at first contact it makes shipyard's directory with the node's
random id, so that one machine under two names is noticed before anything is done to it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from shipyard.base.errors import RuntimeBroken
from shipyard.base.record import Struct, replace
from shipyard.base.text import one_line
from shipyard.model import labels
from shipyard.model.observed import ObservedNode
from shipyard.model.wire import ObservedWiring, WiringRequest, names_of
from shipyard.observe import facts, sections
from shipyard.runtime import dialects, netlisting, nodedir, nodescript
from shipyard.runtime.dialect import Dialect, ProbeRequest, RuntimeState
from shipyard.transport.connection import Completed

_OWN = "facts", "kept"

_KEPT = r"""
sy_kept() { sy_make; sy_state; }
section kept sy_kept
"""

_DEADLINE = r"""
sy_timeout=$(command -v timeout)
if [ -n "$sy_timeout" ] && ! [ "$sy_timeout" -ef /bin/busybox ]; then
  @RUNTIME@() { timeout @SECONDS@ @RUNTIME@ "$@"; }
fi
"""
"""A runtime that hangs would otherwise leave one more process on the node with every pass.

Not with busybox's timeout: it leaves a process behind that keeps the answer open for up to a second more.
"""


class NodeRequest(Struct, frozen=True):
    """What is wanted of one node. `runtime`: pinned, or the inventory's `shipyard_runtime`; None: find out.

    `networks`, `volumes`, `images`: to look up beside what carries the cluster's label (ProbeRequest). `version`: ask
    for the runtime's version too, and whether it is rootless; with docker that is one more process.
    `stray_networks`, `stray_volumes`: look for those of the cluster beside the ones named, which is one more for each.
    `restarted`: tell the log also of what runs, and was restarted by the runtime.
    `containers`: ids of all that are expected there; where they are, others are not looked for.
    `usage`: ask what containers use. `wiring`: ask about the cluster's network.
    """

    name: str
    cluster: str
    runtime: str | None = None
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    version: bool = True
    stray_networks: bool = True
    stray_volumes: bool = True
    restarted: bool = False
    usage: bool = False
    containers: tuple[str, ...] = ()
    wiring: WiringRequest | None = None


class Probe(Struct, frozen=True):
    """The script, the word that frames its answer, and who understands the answer."""

    script: bytes
    nonce: str
    dialect: Dialect
    request: NodeRequest


def build(request: NodeRequest, runtime: str, *, seconds: int = 60) -> Probe:
    """The probe of a node that has this runtime. `seconds`: after which a command of the runtime is given up."""
    dialect = dialects.by_name(runtime)
    nonce = secrets.token_hex(16)
    text = (
        sections.FUNCTION
        + facts.SCRIPT
        + nodedir.locate(request.cluster)
        + nodedir.reading()
        + _KEPT
        + _DEADLINE.replace("@RUNTIME@", dialect.name).replace("@SECONDS@", str(seconds))
        + (netlisting.BEFORE if request.wiring else "")
        + _runtime(dialect, request)
        + (netlisting.script(request.wiring, names_of(request.cluster), dialect.name) if request.wiring else "")
    )
    return Probe(nodescript.whole(text, nonce), nonce, dialect, request)


def read(node: str, output: Completed, probe: Probe) -> ObservedNode:
    """What the answer comes to. Raises Truncated (not all of it) and RuntimeBroken (a part failed, or is nonsense)."""
    found = sections.read(node, output, probe.nonce)
    runtime = probe.dialect.name
    for name, section in found.items():
        if section.status != 0:
            words = section.words or f"exit status {section.status}"
            raise RuntimeBroken(node, f"{runtime} could not say what is there ({name}): {words}", hint=_hint(runtime))
    if missing := [name for name in _OWN if name not in found]:
        raise RuntimeBroken(node, f"the answer has no section {missing[0]}", hint=_hint(runtime))
    said = facts.parse(found["facts"].output)
    kept = nodedir.read_state(found["kept"].output)
    try:
        clock = facts.clock(said)
        state = probe.dialect.parse(
            {name: section.output for name, section in found.items() if name not in (*_OWN, netlisting.SECTION)}, clock
        )
        wiring, connections, datagrams = _wiring(probe.request, state, found)
    # Nonsense may have any shape, and one node's must not end the pass over the others.
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RuntimeBroken(
            node, f"what {runtime} answered can't be understood: {one_line(str(error))}", hint=_hint(runtime)
        ) from error
    return ObservedNode(
        name=node,
        facts=facts.facts(said, kept.node_id, runtime, state),
        owner=kept.owner,
        epoch=kept.epoch,
        containers=state.containers,
        networks=state.networks,
        volumes=state.volumes,
        images=state.images,
        revisions=kept.revisions,
        configs=kept.configs,
        secrets=kept.secrets,
        markers=kept.markers,
        availability=kept.availability,
        drain_until=kept.drain_until,
        others=kept.others,
        usage=state.usage,
        wiring=wiring,
        open_connections=connections,
        datagrams=datagrams,
        all_networks=probe.request.stray_networks,
    )


def _wiring(
    request: NodeRequest, state: RuntimeState, found: Mapping[str, sections.Section]
) -> tuple[ObservedWiring | None, tuple[tuple[str, int], ...], tuple[str, ...]]:
    """What was said of the cluster's network, where it was asked for."""
    if request.wiring is None:
        return None, (), ()
    ours = (each for each in state.networks if dict(each.labels).get(labels.CLUSTER) == request.cluster)
    bridges = {network.name: network.device for network in ours if network.device}
    body = found[netlisting.SECTION].output
    return netlisting.parse(body, request.wiring, names_of(request.cluster), bridges)


def _runtime(dialect: Dialect, request: NodeRequest) -> str:
    """The runtime's sections. Where nothing else runs health checks (podman's need systemd), the probe does."""
    asked = ProbeRequest(
        request.cluster,
        request.networks,
        request.volumes,
        request.images,
        version=request.version,
        stray_networks=request.stray_networks,
        stray_volumes=request.stray_volumes,
        restarted=request.restarted,
        usage=request.usage,
        containers=request.containers,
    )
    plain, healthy = dialect.probe(asked), dialect.probe(replace(asked, health=True))
    if plain == healthy:
        return plain + "\n"
    return f"if [ -d /run/systemd/system ]; then\n{plain}\nelse\n{healthy}\nfi\n"


def _hint(runtime: str) -> str:
    return f"the node answers, so nothing is moved away from it; on it, see what `{runtime} ps` says"
