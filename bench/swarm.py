"""Docker Swarm and shipyard by turns on the same three nodes: deploy, update, a killed container, a dead node.

What counts is what runs: containers are counted by asking each daemon's socket directly, a few milliseconds a look.
The end of each side's own command is measured beside it. All containers end at once when they are told to.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import quote

import yaml

from bench.ground import COMMAND, IMAGE, PROGRAM, Ground
from bench.sample import Row

REPLICAS = 15
UPDATED = 6
POLL = 0.05
PATIENCE = 180.0
DETECTION = (8, 4)
"""Seconds until shipyard takes a silent node for unreachable, and then for lost: 12, as Swarm needs (11 to 12.5)."""

_OVERLAY = "across"

UPDATES: dict[str, dict[str, object]] = {
    "defaults": {},
    "parallelism 2": {"parallelism": 2},
    "start-first": {"order": "start-first"},
}


class Wanted(NamedTuple):
    """Of the service. `mark`: a label that tells one version from the next. `across`: on a network across nodes."""

    mark: str
    update: dict[str, object]
    across: bool = False


class Side(Protocol):
    """One of the two."""

    name: str

    def deploy(self, replicas: int, wanted: Wanted) -> subprocess.Popen[bytes]:
        """Begin to make the service, or to update it to this."""
        ...

    def watched(self) -> AbstractContextManager[None]:
        """Whatever has to run so that failures are mended."""
        ...

    def clean(self) -> None:
        """Nothing of the service is left."""
        ...


class Swarm:
    """Docker's own, managed from the first node."""

    name = "Swarm"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        first, *others = ground.lab.nodes
        self._manager = first.name
        self._docker(first.name, "swarm", "init", "--advertise-addr", first.address)
        token = self._docker(first.name, "swarm", "join-token", "--quiet", "worker")
        for node in others:
            self._docker(node.name, "swarm", "join", "--token", token, f"{first.address}:2377")
        self._docker(first.name, "network", "create", "--driver", "overlay", _OVERLAY)

    def deploy(self, replicas: int, wanted: Wanted) -> subprocess.Popen[bytes]:
        mark = wanted.mark
        options = [f"--update-{key}={value}" for key, value in wanted.update.items()]
        if self._docker(self._manager, "service", "ls", "--quiet"):
            words = ["update", "--container-label-add", f"mark={mark}", *options, "bench"]
        else:
            words = ["create", "--name=bench", f"--replicas={replicas}", "--container-label", f"mark={mark}"]
            words += ["--stop-signal=SIGKILL", "--no-resolve-image", *options]
            words += [*(("--network", _OVERLAY) if wanted.across else ()), IMAGE, *COMMAND]
        argv = self._ground.lab.node(self._manager).command(("docker", "service", *words))
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @contextmanager
    def watched(self) -> Iterator[None]:
        yield

    def clean(self) -> None:
        self._docker(self._manager, "service", "rm", "bench")

    def leave(self) -> None:
        """No swarm any more."""
        for node in self._ground.lab.nodes:
            self._docker(node.name, "swarm", "leave", "--force")

    def _docker(self, node: str, *words: str) -> str:
        done = self._ground.lab.run(node, ["docker", *words])
        if done.returncode != 0:
            raise RuntimeError(f"{node}: docker {' '.join(words)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode().strip()


class Shipyard:
    """This project, from this machine."""

    name = "shipyard"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._folder = ground.project().folder
        unreachable, lost = DETECTION
        (self._folder / "shipyard.toml").write_text(
            f"[timing]\nunreachable_after = {unreachable}\nlost_after = {lost}\nmove_share = 1.0\n"
            "[timeouts]\nconnect = 2\n"
        )

    def deploy(self, replicas: int, wanted: Wanted) -> subprocess.Popen[bytes]:
        service = {
            "image": IMAGE,
            "command": list(COMMAND),
            "labels": {"mark": wanted.mark},
            "stop_signal": "SIGKILL",
            "deploy": {"replicas": replicas, "update_config": wanted.update},
        }
        networks = {"default": {"driver": "vxlan" if wanted.across else "bridge"}}
        play = {"hosts": "lab", "stack": "bench", "services": {"bench": service}, "networks": networks}
        (self._folder / "site.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        return self._start("apply", "site.yml")

    @contextmanager
    def watched(self) -> Iterator[None]:
        process = self._start("reconcile", "--watch", "--interval", "1")
        time.sleep(5)  # its first pass is over then
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()

    def clean(self) -> None:
        if self._start("rm", "bench", "--yes").wait() != 0:
            raise RuntimeError("shipyard could not remove the stack")

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        log = (self._folder / f"{words[0]}.log").open("ab")
        argv = [PROGRAM, "-i", "hosts.yml", *words]
        return subprocess.Popen(
            argv, cwd=self._folder, env=self._ground.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def measure(ground: Ground, repeat: int) -> list[Row]:
    """All of it, `repeat` times, Swarm and shipyard by turns."""
    for node in ground.lab.nodes:  # one that a killed run of this has left; that there is none is no error
        ground.lab.run(node.name, ["docker", "swarm", "leave", "--force"])
    ground.clean()
    swarm = Swarm(ground)
    try:
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(repeat):
            for side in (swarm, Shipyard(ground)):
                for what, seconds in _round(ground, side).items():
                    times.setdefault((what, side.name), []).append(seconds)
    finally:
        swarm.leave()
    rows = []
    for what in dict.fromkeys(what for what, _ in times):
        theirs = sorted(times[what, "Swarm"])
        limit = 1.6 if what.startswith("first deploy") else 1.0
        reference = ("Swarm", theirs[len(theirs) // 2])
        rows.append(Row(f"{what}: shipyard", tuple(times[what, "shipyard"]), reference=reference, target=limit))
        rows.append(Row(f"{what}: Swarm", tuple(times[what, "Swarm"])))
    return rows


def _round(ground: Ground, side: Side) -> dict[str, float]:
    found: dict[str, float] = {}
    what = f"first deploy, {REPLICAS} running"
    found[what], found[f"{what}, and its command ended"] = _timed(ground, side, REPLICAS, Wanted("1", {}))
    with side.watched():
        found["a killed container replaced"] = _replaced(ground)
        found["a dead node's work elsewhere"] = _elsewhere(ground)
    side.clean()
    _until_gone(ground)
    cases = [(name, across) for across in (False, True) for name in UPDATES]
    for number, (name, across) in enumerate(cases):
        old, new = f"{number}a", f"{number}b"
        _timed(ground, side, UPDATED, Wanted(old, UPDATES[name], across))
        what = f"update of {UPDATED}, {name}" + (", on a network across nodes" if across else "")
        wanted = Wanted(new, UPDATES[name], across)
        found[what], found[f"{what}, and its command ended"] = _timed(ground, side, UPDATED, wanted)
        if _running(ground, old):
            raise RuntimeError(f"{side.name} calls an update done while old containers run")
        side.clean()
        _until_gone(ground)
    return found


def _timed(ground: Ground, side: Side, replicas: int, wanted: Wanted) -> tuple[float, float]:
    """Seconds until so many of this mark run and no others, and until the command has ended."""
    began = time.monotonic()
    process = side.deploy(replicas, wanted)
    _until(lambda: _running(ground, wanted.mark) == replicas and _running(ground) == replicas)
    running = time.monotonic() - began
    if process.wait(PATIENCE) != 0:
        raise RuntimeError(f"{side.name}: the command for {replicas} replicas ended with {process.returncode}")
    return running, time.monotonic() - began


def _replaced(ground: Ground) -> float:
    victim = ground.lab.nodes[1]
    box = _containers(victim.pid())[0]["Id"]
    began = time.monotonic()
    ground.lab.run(victim.name, ["docker", "kill", str(box)])
    _until(lambda: _running(ground) == REPLICAS)
    return time.monotonic() - began


def _elsewhere(ground: Ground) -> float:
    victim = ground.lab.nodes[2].name
    began = time.monotonic()
    ground.lab.kill(victim)
    try:
        _until(lambda: _running(ground) == REPLICAS)
        return time.monotonic() - began
    finally:
        ground.lab.start(victim)


def _until_gone(ground: Ground) -> None:
    _until(lambda: _running(ground) == 0)


def _until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > limit:
            raise RuntimeError(f"not so within {PATIENCE:g} s")
        time.sleep(POLL)


def _running(ground: Ground, mark: str | None = None) -> int:
    """Containers that run on nodes with power; those of this mark alone, where one is said."""
    boxes = [box for node in ground.lab.nodes for box in _containers(node.pid())]
    return sum(mark is None or _label(box) == mark for box in boxes)


def _label(box: dict[str, object]) -> object:
    labels = box.get("Labels")
    return labels.get("mark") if isinstance(labels, dict) else None


def _containers(pid: int | None) -> list[dict[str, object]]:
    """What a node's docker says of its running containers; nothing where it does not answer."""
    if pid is None or not Path(f"/proc/{pid}/root/run/docker.sock").exists():
        return []
    filters = quote(json.dumps({"status": ["running"]}))
    request = f"GET /containers/json?filters={filters} HTTP/1.0\r\nHost: docker\r\n\r\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(f"/proc/{pid}/root/run/docker.sock")
            client.sendall(request.encode())
            answer = b"".join(iter(lambda: client.recv(65536), b""))
    except OSError:
        return []
    body = answer.partition(b"\r\n\r\n")[2]
    found = json.loads(body) if body.startswith(b"[") else []
    return [box for box in found if isinstance(box, dict)]
