"""Which container runtime a node has: asked once, at first contact, and pinned from then on.

Docker where its daemon answers; but podman where `docker` is only its shim, or talks to podman's socket. Then
podman, then nerdctl.
"""

from __future__ import annotations

import secrets

from shipyard.base.errors import RuntimeBroken
from shipyard.base.record import Struct
from shipyard.observe import sections
from shipyard.runtime import dialects, nodescript
from shipyard.transport.connection import Completed

_DETECT = r"""
if timeout 1 true 2>/dev/null; then sy_limit() { timeout 20 "$@"; }; else sy_limit() { "$@"; }; fi
sy_has() { command -v "$1" >/dev/null 2>&1; }
sy_detect() {
  if sy_has docker; then
    case $(sy_limit docker --version 2>/dev/null) in
      podman*) echo podman; return ;;
    esac
    if sy_parts=$(sy_limit docker version --format '{{range .Server.Components}}{{.Name}} {{end}}'); then
      case $sy_parts in
        *[Pp]odman*) if sy_has podman; then echo podman; return; fi ;;
      esac
      echo docker
      return
    fi
  fi
  if sy_has podman && sy_limit podman --version >/dev/null; then
    echo podman
  elif sy_has nerdctl && sy_limit nerdctl version >/dev/null; then
    echo nerdctl
  else
    return 1
  fi
}
section runtime sy_detect
"""


class Question(Struct, frozen=True):
    """The script that asks, and the word that frames its answer."""

    script: bytes
    nonce: str


def build() -> Question:
    """Ask which runtime there is."""
    nonce = secrets.token_hex(16)
    return Question(nodescript.whole(sections.FUNCTION + _DETECT, nonce), nonce)


def read(node: str, output: Completed, question: Question) -> str:
    """The runtime's name. Raises RuntimeBroken where there is none that answers."""
    section = sections.read(node, output, question.nonce)["runtime"]
    name = section.output.decode("utf-8", "replace").strip()
    if section.status == 0 and name in dialects.NAMES:
        return name
    if section.words:
        raise RuntimeBroken(node, f"no container runtime answers: {section.words}", hint=_hint())
    raise RuntimeBroken(node, "no container runtime found (docker, podman, nerdctl)", hint=_hint())


def _hint() -> str:
    return (
        "install or start docker or podman there, let the connecting user use it (or set ansible_become: true), "
        "or name it with shipyard_runtime in the inventory"
    )
