"""Tries connections between containers, from inside, on all nodes at once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from shipyard.base.errors import NodeError
from shipyard.observe import sections
from shipyard.runtime import nettrying, nodescript
from shipyard.transport.connection import NodeConnection

if TYPE_CHECKING:
    from shipyard.transport.fleet import Fleet

SECONDS = 3
"""That a connection may take."""
TIMEOUT = 60.0


def listening(
    fleet: Fleet, containers: Mapping[str, Sequence[str]], runtimes: Mapping[str, str]
) -> dict[str, tuple[tuple[int, bool], ...]]:
    """The TCP ports that containers listen on, and whether by IPv6, by name. `containers`: by node.

    Nodes that fail tell of none. What listens by IPv6 takes IPv4 as well, as nearly everything does.
    """

    def work(connection: NodeConnection) -> list[tuple[str, int, bool]]:
        node = connection.node
        said = _run(connection, nettrying.listening(runtimes[node], containers[node]), "listening")
        return [(words[0], int(words[1], 16), words[2] == "6") for words in map(str.split, said) if len(words) == 3]

    found: dict[str, set[tuple[int, bool]]] = {}
    for answer in fleet.each(sorted(containers), work).values():
        for name, port, by_six in [] if isinstance(answer, NodeError) else answer:
            found.setdefault(name, set()).add((port, by_six))
    return {name: tuple(sorted(ports)) for name, ports in found.items()}


def attempts(
    fleet: Fleet, wanted: Mapping[str, Sequence[tuple[int, str, str, int]]], runtimes: Mapping[str, str]
) -> dict[int, tuple[bool | None, str]]:
    """What became of each (number, container, address, port), by number. `wanted`: by node."""

    def work(connection: NodeConnection) -> list[str]:
        node = connection.node
        return _run(connection, nettrying.tries(runtimes[node], wanted[node], SECONDS), "tries")

    found: dict[int, tuple[bool | None, str]] = {}
    for node, answer in fleet.each(sorted(wanted), work).items():
        if isinstance(answer, NodeError):
            found.update({number: (None, answer.message) for number, *_ in wanted[node]})
            continue
        for line in answer:
            words = line.split(maxsplit=2)
            if len(words) >= 2 and words[0].isdecimal():
                result = {"yes": True, "no": False}.get(words[1])
                found[int(words[0])] = (result, words[2] if len(words) > 2 else "")
        if answer == ["none"]:
            found.update(
                {number: (None, "the node has neither bash nor nc to try it with") for number, *_ in wanted[node]}
            )
    return found


def _run(connection: NodeConnection, text: str, name: str) -> list[str]:
    nonce = secrets.token_hex(16)
    output = connection.run(nodescript.whole(sections.FUNCTION + text, nonce), timeout=TIMEOUT)
    return sections.read(connection.node, output, nonce)[name].output.decode("utf-8", "replace").splitlines()
