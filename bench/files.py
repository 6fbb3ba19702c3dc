"""How long the files that people already have take to be read and understood: a long Compose file, many manifests.

No node is part of it: `kinds.load`, as `plan` and `apply` call it before anything else, in a process of its own. A
small file is read beforehand, so that no module is imported within the time. `convert` is the whole program.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from bench.ground import PROGRAM
from bench.process import measured
from bench.sample import Row

LINES, MANIFESTS = 1500, 500
OF_COMPOSE, OF_MANIFESTS = 0.15, 1.5
"""Seconds that each may take."""


def measure(repeat: int) -> list[Row]:
    """Rows of both kinds of files."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, what, text, target in (
            ("compose", f"a Compose file of {LINES:,} lines", compose(), OF_COMPOSE),
            ("manifests", f"{MANIFESTS} manifests", manifests(), OF_MANIFESTS),
        ):
            (folder / f"{kind}.yaml").write_text(text)
            command = [sys.executable, "-m", "bench.files", str(folder / f"{kind}.yaml")]
            here = Path(__file__).parents[1]
            walls = [
                float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=here).stdout)
                for _ in range(repeat)
            ]
            env = {"PATH": "/usr/bin:/bin", "HOME": name}
            costs = [measured([PROGRAM, "convert", f"{kind}.yaml"], cwd=folder, env=env) for _ in range(repeat)]
            rows += [
                Row(f"{what}, read", tuple(walls), target=target),
                Row(f"`convert` of {what}", tuple(cost.wall for cost in costs)),
                Row(f"`convert` of {what}: peak memory", tuple(cost.peak / 2**20 for cost in costs), "MiB"),
            ]
    return rows


def compose() -> str:
    """Services of all that is usual, until there are enough lines."""
    lines = ["name: large", "x-logging: &logging", "  driver: json-file", "  options: {max-size: 10m}", "services:"]
    number = 0
    while len(lines) < LINES - 4:
        lines += _service(number)
        number += 1
    return "\n".join([*lines, "networks:", "  front:", "volumes:", "  data:"]) + "\n"


def _service(number: int) -> Iterator[str]:
    yield f"  app{number}:"
    for line in f"""
image: registry.example.com/team/app{number}:${{TAG:-1.{number}}}
command: ["serve", "--port", "80{number % 90 + 10}"]
restart: unless-stopped
logging: *logging
environment:
  LOG_LEVEL: ${{LEVEL:-info}}
  DATABASE_URL: postgres://db{number}:5432/app
  FEATURES: "a,b,c"
  WORKERS: "4"
ports:
  - "127.0.0.1:{10000 + number}:8080"
volumes:
  - data:/var/lib/app
  - type: tmpfs
    target: /scratch
networks:
  front:
    aliases:
      - app{number}.internal
healthcheck:
  test: [CMD, curl, -f, "http://localhost/"]
  interval: 30s
  retries: 3
labels:
  - "team=web"
  - "tier={number % 3}"
deploy:
  replicas: 2
  resources:
    limits:
      cpus: "0.50"
      memory: 256M
  update_config:
    order: start-first
    parallelism: 1""".strip().splitlines():
        yield f"    {line}"
    if number:
        yield "    depends_on:"
        yield f"      - app{number - 1}"


def manifests() -> str:
    """Deployments, each with its Service, its ConfigMap and an autoscaler."""
    return "---\n".join(text for number in range(MANIFESTS // 4) for text in _application(number))


def _application(number: int) -> Iterator[str]:
    name = f"app{number}"
    yield f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  replicas: 2
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}, tier: backend}}
    spec:
      containers:
      - name: server
        image: registry.example.com/team/{name}:1.{number}
        args: ["--port=8080", "--level=$(LEVEL)"]
        env:
        - {{name: LEVEL, value: info}}
        - {{name: PEER, value: "app{max(number - 1, 0)}:80"}}
        - name: MODE
          valueFrom: {{configMapKeyRef: {{name: {name}, key: mode}}}}
        ports:
        - {{containerPort: 8080, name: http}}
        readinessProbe: {{httpGet: {{path: /ready, port: http}}, periodSeconds: 5}}
        livenessProbe: {{tcpSocket: {{port: 8080}}}}
        resources:
          requests: {{cpu: 100m, memory: 64Mi}}
          limits: {{cpu: 200m, memory: 128Mi}}
        volumeMounts:
        - {{name: conf, mountPath: /etc/app}}
      volumes:
      - name: conf
        configMap: {{name: {name}}}
"""
    yield f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {name}}}
  ports:
  - {{port: 80, targetPort: http}}
"""
    yield f"""\
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}}}
data:
  mode: fast
  app.ini: |
    [server]
    name = {name}
"""
    yield f"""\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: {name}}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}
  minReplicas: 2
  maxReplicas: 6
  metrics:
  - type: Resource
    resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 70}}}}
"""


def _read(path: Path) -> float:
    """Seconds for one file, in this process, once a small one of the kind was read."""
    from shipyard.files import kinds
    from shipyard.model.inventory import Group, Host, Inventory

    inventory = Inventory((Host("node1", ("all",)),), (Group("all", ("node1",)),))
    small = path.with_name(f"small-{path.name}")
    text = path.read_text()
    small.write_text("services: {a: {image: a}}\n" if "services:" in text else _POD)
    kinds.load([small], inventory=inventory, project=path.parent)
    began = perf_counter()
    kinds.load([path], inventory=inventory, project=path.parent)
    return perf_counter() - began


_POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: a}]}\n"


if __name__ == "__main__":
    print(_read(Path(sys.argv[1])))
