"""What the nodes keep of a store, read back when the store itself is lost."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from shipyard.base.errors import NodeError
from shipyard.base.record import Struct
from shipyard.observe import sections
from shipyard.observe.sections import Section
from shipyard.runtime import nodedir, nodescript
from shipyard.transport.connection import NodeConnection

if TYPE_CHECKING:
    from shipyard.transport.fleet import Fleet

MAX_KEPT = 256 * 1024 * 1024
"""Bytes that one node may keep: revisions hold their configs, and what can't be read can't be rebuilt."""
_READ = r"""
for sy_dir in "$sy_base"/*; do
  [ -s "$sy_dir/node" ] || continue
  case ${sy_dir##*/} in *[!A-Za-z0-9_.-]*) continue ;; esac
  @ONLY@
  section "state/${sy_dir##*/}" sy_state
  for sy_body in "$sy_dir"/revisions/*; do
    case ${sy_body##*/} in *[!a-z0-9_-]*) continue ;; esac
    section "revision/${sy_dir##*/}/${sy_body##*/}" cat "$sy_body"
  done
done
"""


class KeptRevision(Struct, frozen=True):
    """`body`: canonical JSON, as it was given to KeepRevision."""

    stack: str
    number: int
    digest: str
    body: str


class KeptCluster(Struct, frozen=True):
    """One cluster's directory on one node. `owner`: the store's uuid, "" for none. `revisions`: sorted by stack."""

    cluster: str
    node_id: str
    owner: str
    epoch: int
    revisions: tuple[KeptRevision, ...] = ()


def read_kept(
    fleet: Fleet, nodes: Iterable[str], cluster: str | None = None, *, timeout: float = 60.0
) -> dict[str, tuple[KeptCluster, ...] | NodeError]:
    """For each node, what it keeps of this cluster, or of all (None), sorted by cluster. One exec a node."""

    def work(connection: NodeConnection) -> tuple[KeptCluster, ...]:
        nonce = secrets.token_hex(16)
        output = connection.run(script(cluster, nonce), timeout=timeout, max_bytes=MAX_KEPT)
        return read(sections.read(connection.node, output, nonce))

    return fleet.each(sorted(nodes), work)


def script(cluster: str | None, nonce: str) -> bytes:
    """Reads; makes nothing."""
    only = "" if cluster is None else f'[ "${{sy_dir##*/}}" = "{nodedir.checked(cluster)}" ] || continue'
    text = sections.FUNCTION + nodedir.base() + nodedir.reading() + _READ.replace("@ONLY@", only)
    return nodescript.whole(text, nonce)


def read(found: Mapping[str, Section]) -> tuple[KeptCluster, ...]:
    """Sections as clusters. A revision that is not whole is left out: another node has it."""
    clusters = sorted(name.partition("/")[2] for name in found if name.startswith("state/"))
    return tuple(_cluster(cluster, found) for cluster in clusters)


def _cluster(cluster: str, found: Mapping[str, Section]) -> KeptCluster:
    state = nodedir.read_state(found[f"state/{cluster}"].output)
    start = f"revision/{cluster}/"
    bodies = sorted(name for name in found if name.startswith(start) and found[name].status == 0)
    revisions = (_revision(name.removeprefix(start), found[name].output) for name in bodies)
    return KeptCluster(
        cluster,
        node_id=state.node_id,
        owner=state.owner,
        epoch=state.epoch,
        revisions=tuple(revision for revision in revisions if revision is not None),
    )


def _revision(stack: str, content: bytes) -> KeptRevision | None:
    head, _, body = content.decode("utf-8", "replace").partition("\n")
    match head.split():
        case [number, digest] if number.isdecimal() and len(number) < 19 and body.endswith("\n"):
            return KeptRevision(stack, int(number), digest, body[:-1])
        case _:
            return None
