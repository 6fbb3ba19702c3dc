"""Registry credentials on a node: there for one pull, for one user, and in no argument list. The shells are real."""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from pathlib import Path

import pytest

from shipyard.base.errors import ConfigError
from shipyard.execute import answer
from shipyard.execute.run import execute
from shipyard.execute.script import Fence, build
from shipyard.model.image import RegistryAuth
from shipyard.model.plan import Action, PullImage, StartContainer, Status
from shipyard.runtime import nodedir
from shipyard.runtime.dialects import by_name
from tests.shellnode import SHELLS, FakeFleet, ShellNode

IMAGE, PUBLIC = "registry.example:5000/team/app:1", "public.example/app:1"
PASSWORD = "s3cret $HOME `id` \"'\n_END_\né"
AUTH = RegistryAuth("registry.example:5000", "me", PASSWORD)

# Notes its arguments, and what it can read of who it is; fails where the test wants it to.
RUNTIME = r"""#!/bin/sh
printf '%s\0' "$0" "$@" >>"$FAKE/arguments"
case $1$2 in
  imageinspect) exit 1 ;;
  pull*)
    file=${REGISTRY_AUTH_FILE:-${DOCKER_CONFIG:+$DOCKER_CONFIG/config.json}}
    tr '\0' '\n' </proc/$$/environ >>"$FAKE/environment"
    if [ -n "$file" ]; then
      cp "$file" "$FAKE/seen"
      stat -c '%a %u' "$file" "${file%/*}" >"$FAKE/modes"
      echo "$file" >"$FAKE/where"
    fi
    ;;
  start*) [ ! -e "$FAKE/where" ] || [ ! -e "$(cat "$FAKE/where")" ] || echo 'still there' >"$FAKE/left" ;;
esac
[ ! -e "$FAKE/fails" ] || { echo 'unauthorized: authentication required' >&2; exit 125; }
"""


@pytest.fixture(params=SHELLS, ids=lambda argv: argv[0])
def node(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShellNode:
    monkeypatch.setattr(nodedir, "ROOT", str(tmp_path / "var lib"))
    node = ShellNode("n1", tmp_path / "node", shell=request.param, extra={"XDG_DATA_HOME": str(tmp_path / "share")})
    for name in ("docker", "podman", "nerdctl"):
        node.command(name, RUNTIME)
    return node


@pytest.fixture
def fence() -> Fence:
    return Fence(uuid.uuid4().hex, "store-1", 1, wait=20)


def pulling(*images: str) -> list[Action]:
    pulls = [Action(number, "n1", image, "Missing", "", PullImage(image)) for number, image in enumerate(images, 1)]
    return [*pulls, Action(9, "n1", "web/app.1", "Test", "", StartContainer("abc", "web"))]


def act(node: ShellNode, fence: Fence, runtime: str, actions: list[Action]) -> answer.Answer:
    script = build(actions, by_name(runtime), fence, {IMAGE: AUTH})
    return answer.read("n1", actions, script, node.run(script.text, timeout=30), time.time())


def read(node: ShellNode, name: str) -> str:
    path = node.root / name
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("runtime", ["docker", "podman", "nerdctl"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_pull_has_its_login_and_nothing_else_does(node: ShellNode, fence: Fence, runtime: str, fails: bool) -> None:
    if fails:
        (node.root / "fails").touch()
    said = act(node, fence, runtime, pulling(IMAGE))
    assert said.outcomes[0].status is (Status.FAILED if fails else Status.DONE)
    assert said.outcomes[0].message == ("unauthorized: authentication required" if fails else "")
    written = json.loads(read(node, "seen"))["auths"]["registry.example:5000"]
    assert base64.b64decode(written["auth"]).decode() == f"me:{PASSWORD}"
    assert [line.split()[0] for line in read(node, "modes").splitlines()] == ["600", "700"]
    where = Path(read(node, "where").strip())
    assert not where.exists()
    assert not where.parent.parent.exists()
    assert (node.root / "modes").exists()
    assert not (node.root / "left").exists(), "it is gone before the next action"


def test_no_secret_is_in_an_argument_an_environment_or_what_is_said(node: ShellNode, fence: Fence) -> None:
    said = act(node, fence, "docker", pulling(IMAGE))
    encoded = json.loads(read(node, "seen"))["auths"]["registry.example:5000"]["auth"]
    for place in (read(node, "arguments"), read(node, "environment"), repr(said)):
        assert place
        assert "s3cret" not in place
        assert encoded not in place


def test_what_needs_no_login_gets_none(node: ShellNode, fence: Fence) -> None:
    said = act(node, fence, "podman", pulling(PUBLIC))
    assert [outcome.status for outcome in said.outcomes] == [Status.DONE, Status.DONE]
    assert not (node.root / "seen").exists()
    assert "REGISTRY_AUTH_FILE" not in read(node, "environment")


def test_each_pull_has_its_own(node: ShellNode, fence: Fence) -> None:
    act(node, fence, "podman", pulling(IMAGE, PUBLIC))
    environment = read(node, "environment")
    assert len(re.findall("^REGISTRY_AUTH_FILE=", environment, re.MULTILINE)) == 1
    assert len(re.findall("^PATH=", environment, re.MULTILINE)) == 2


def test_docker_hub_is_called_as_each_runtime_calls_it() -> None:
    auth = RegistryAuth("docker.io", "<token>", identity_token="t0ken")
    entry = {"auth": base64.b64encode(b"<token>:").decode(), "identitytoken": "t0ken"}
    keys = {"docker": "https://index.docker.io/v1/", "nerdctl": "https://index.docker.io/v1/", "podman": "docker.io"}
    for runtime, key in keys.items():
        login = by_name(runtime).login(auth)
        assert json.loads(login.content) == {"auths": {key: entry}}
        assert "t0ken" not in repr(login)


def test_credentials_that_can_not_be_read_fail_their_pull_alone(node: ShellNode, fence: Fence) -> None:
    asked: list[str] = []

    def credentials(image: str) -> RegistryAuth | None:
        asked.append(image)
        if image == IMAGE:
            raise ConfigError("config.json: not JSON", hint="log in again")
        return None

    fleet, dialects = FakeFleet({"n1": node}), {"n1": by_name("docker")}
    outcomes = execute(fleet, pulling(IMAGE, PUBLIC), dialects, fence, credentials=credentials)
    assert [outcome.status for outcome in outcomes] == [Status.FAILED, Status.DONE, Status.DONE]
    assert outcomes[0].message == "config.json: not JSON\n  hint: log in again"
    assert asked == [PUBLIC, IMAGE]
