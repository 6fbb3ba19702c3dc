"""The classic guestbook in manifests of Kubernetes, applied as they are: only the images are the lab's, renamed."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet
from tests.lab.networked import from_outside
from tests.lab.stacks import ids, replicas

MANIFESTS = Path(__file__).parents[1] / "cases" / "kubernetes" / "guestbook"
SAMPLES = "us-docker.pkg.dev/google-samples/containers/gke"
FOLLOW = 'CMD ["redis-server", "--protected-mode", "no", "--save", "", "--replicaof", "redis-leader", "6379"]'
IMAGES = {
    f"{SAMPLES}/gb-frontend:v5": (
        "shipyard.test/guestbook:1",
        ("ENV LEADER=redis-leader:6379", "ENV FOLLOWER=redis-follower:6379", "ENV PORT=80", "USER 0"),
    ),
    f"{SAMPLES}/gb-redis-follower:v2": ("shipyard.test/redis:7", (FOLLOW,)),
    "docker.io/redis:6.0.5": ("shipyard.test/redis:7", ("ENV ROLE=leader",)),
}
"""What the manifests call them: which image of the lab stands in for it, and what that lacks."""


@pytest.fixture
def retagged(fleet: Fleet, tmp_path: Path) -> Iterator[Fleet]:
    """The fleet with these images on every node, the same ones everywhere."""
    maker = next(name for name in fleet.names if fleet.runtime(name) == "docker")
    for name, (source, changes) in IMAGES.items():
        fleet.runtime_cli(maker, "create", "--name", "maker", source)
        said = [word for change in changes for word in ("--change", change)]
        fleet.runtime_cli(maker, "commit", *said, "maker", name)
        fleet.runtime_cli(maker, "rm", "maker")
    archive = tmp_path / "images.tar"
    archive.write_bytes(fleet.lab.run(maker, ("docker", "save", *IMAGES)).stdout)
    fleet.lab.load_image(archive, [name for name in fleet.names if name != maker])
    yield fleet
    fleet.clean()
    for node in fleet.names:
        fleet.runtime_cli(node, "rmi", "-f", *IMAGES, check=False)


def test_the_guestbook_serves_as_it_is(retagged: Fleet) -> None:
    fleet = retagged
    shutil.copytree(MANIFESTS, fleet.project / "guestbook")
    fleet.shipyard("apply", "guestbook", "--hosts", "lab").expect(0)
    found = replicas(fleet, "default")
    assert sorted(name.partition(".")[0] for name in found) == [
        *["frontend"] * 3,
        *["redis-follower"] * 2,
        "redis-leader",
    ]
    assert {replica["state"] for replica in found.values()} == {"running"}, (
        found,
        fleet.shipyard("events").stdout,
    )
    for node in fleet.names:
        assert "Guestbook" in from_outside(fleet, node, 80, "/"), node
    address = fleet.lab.node("node1").address
    subprocess.run(["curl", "-s", "-m", "5", "-d", "message=written", f"http://{address}/"], check=True)
    deadline = time.monotonic() + 20
    while not all("written" in from_outside(fleet, node, 80, "/") for node in fleet.names):
        assert time.monotonic() < deadline, "the followers never had what was written"
        time.sleep(0.2)
    before = ids(fleet, "default")
    assert "Nothing to do" in fleet.shipyard("apply", "guestbook", "--hosts", "lab").expect(0).stdout
    assert ids(fleet, "default") == before


PEERS = """\
apiVersion: v1
kind: Service
metadata: {name: nginx}
spec: {clusterIP: None, selector: {app: nginx}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: nginx
  replicas: 2
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec:
      containers:
      - name: nginx
        image: shipyard.test/busybox:1
        imagePullPolicy: Never
        command: [sh, -c, "mkdir -p /www && echo $(SELF) >/www/index.html && exec httpd -f -p 80 -h /www"]
        env: [{name: SELF, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
"""


@pytest.mark.matrix
def test_pods_of_a_stateful_set_find_each_other_by_the_names_that_manifests_have(fleet: Fleet) -> None:
    (fleet.project / "web.yaml").write_text(PEERS)
    fleet.shipyard("apply", "web.yaml", "--hosts", "lab").expect(0)
    fleet.shipyard("reconcile").expect(0)
    assert fleet.shipyard("exec", "default/web.1", "--", "hostname").expect(0).stdout.strip() == "web-0"
    domains = ("", ".nginx", ".nginx.default", ".nginx.default.svc.cluster.local")
    named = {f"web-{index}{domain}": {f"web-{index}"} for index in (0, 1) for domain in domains}
    named |= {name: {"web-0", "web-1"} for name in ("nginx", "nginx.default", "nginx.default.svc.cluster.local")}
    ask = 'for name; do echo "$name $(wget -q -O - "http://$name/" 2>&1)"; done'
    for slot in (1, 2):
        said = fleet.shipyard("exec", f"default/web.{slot}", "--", "sh", "-c", ask, "sh", *named).expect(0).stdout
        answers = dict(line.partition(" ")[::2] for line in said.splitlines())
        wrong = {name: answers.get(name) for name, right in named.items() if answers.get(name) not in right}
        assert wrong == {}, f"from web.{slot}"
