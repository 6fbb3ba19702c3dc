"""Which runtime a node has, with commands that answer as the real ones do."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipyard.base.errors import RuntimeBroken
from shipyard.observe import detect
from shipyard.runtime import nodescript
from tests.shellnode import ShellNode

DOCKER = """#!/bin/sh
case $1 in
  --version) echo 'Docker version 20.10.24+dfsg1, build 297e128' ;;
  version) echo 'Engine containerd runc ' ;;
esac
"""
NO_DAEMON = """#!/bin/sh
case $1 in
  --version) echo 'Docker version 20.10.24+dfsg1, build 297e128' ;;
  *) echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. ' >&2; exit 1 ;;
esac
"""
SHIM = "#!/bin/sh\necho 'Emulate Docker CLI using podman.' >&2\nexec podman \"$@\"\n"
OVER_PODMANS_SOCKET = """#!/bin/sh
case $1 in --version) echo 'Docker version 28.0' ;; version) echo 'Podman Engine Conmon OCI Runtime (runc) ' ;; esac
"""
PODMAN = "#!/bin/sh\necho 'podman version 4.3.1'\n"
BROKEN = "#!/bin/sh\necho 'error while loading shared libraries: libgpgme' >&2\nexit 127\n"
NERDCTL = "#!/bin/sh\necho 'nerdctl version 1.7.6'\n"


def found(tmp_path: Path, commands: dict[str, str]) -> str:
    node = ShellNode("n1", tmp_path / "node")
    for tool in ("cat", "id", "sh", "timeout"):
        (node.root / "bin" / tool).symlink_to(f"/usr/bin/{tool}")
    for name, text in commands.items():
        node.command(name, text)
    node.extra = {"PATH": f"{node.root}/bin"}
    node.shell = ("/bin/sh",)
    question = detect.build()
    script = question.script.replace(nodescript.SEARCHED.encode(), b"")
    return detect.read("n1", node.run(script, timeout=30), question)


@pytest.mark.parametrize(
    ("commands", "runtime"),
    [
        ({"docker": DOCKER}, "docker"),
        ({"podman": PODMAN}, "podman"),
        ({"nerdctl": NERDCTL}, "nerdctl"),
        ({"docker": DOCKER, "podman": PODMAN}, "docker"),
        ({"docker": NO_DAEMON, "podman": PODMAN}, "podman"),
        ({"docker": SHIM, "podman": PODMAN}, "podman"),
        ({"docker": OVER_PODMANS_SOCKET, "podman": PODMAN}, "podman"),
        ({"docker": OVER_PODMANS_SOCKET}, "docker"),
        ({"podman": BROKEN, "nerdctl": NERDCTL}, "nerdctl"),
    ],
)
def test_the_runtime_that_answers_is_chosen(tmp_path: Path, commands: dict[str, str], runtime: str) -> None:
    assert found(tmp_path, commands) == runtime


def test_none_at_all_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(RuntimeBroken, match="no container runtime found") as caught:
        found(tmp_path, {})
    assert "install or start" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("commands", "words"),
    [({"docker": NO_DAEMON}, "Cannot connect to the Docker daemon"), ({"podman": BROKEN}, "libgpgme")],
)
def test_one_that_does_not_answer_is_quoted(tmp_path: Path, commands: dict[str, str], words: str) -> None:
    with pytest.raises(RuntimeBroken, match=words):
        found(tmp_path, commands)
