"""Manifests that `podman kube play` can carry out, too: the same containers, names aside.

Podman makes them first and is asked what it made; then shipyard applies the same file to the same node. `$(NAME)` and
`stdin` are not among them: podman 4.3 leaves the one as it stands, and passes over the other.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.lab.fleet import Fleet

IMAGE = "shipyard.test/busybox:1"
SLEEP = ["sleep", "1000"]
PODS: dict[str, tuple[dict[str, Any], ...]] = {
    "arguments and variables": (
        {
            "name": "one",
            "command": ["/bin/sh", "-c"],
            "args": ["echo \"$GREETING\" '$(NOBODY)' && sleep 1000"],
            "env": [
                {"name": "GREETING", "value": "hello"},
                {"name": "WHO", "value": "a = 'b' \"c\""},
                {"name": "EMPTY", "value": ""},
                {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "mode"}}},
                {"name": "NS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "conf"}}],
            "workingDir": "/tmp",
        },
    ),
    "arguments alone": ({"name": "one", "args": SLEEP},),
    "rights": (
        {
            "name": "one",
            "command": SLEEP,
            "tty": True,
            "securityContext": {
                "runAsUser": 1000,
                "runAsGroup": 2000,
                "readOnlyRootFilesystem": True,
                "capabilities": {"add": ["NET_ADMIN"], "drop": ["MKNOD"]},
            },
        },
    ),
    "power": ({"name": "one", "command": SLEEP, "securityContext": {"privileged": True}},),
    "ports": (
        {
            "name": "one",
            "command": SLEEP,
            "ports": [
                {"containerPort": 80, "hostPort": 8081},
                {"containerPort": 53, "hostPort": 5300, "protocol": "UDP"},
            ],
        },
    ),
    "files and folders": (
        {
            "name": "one",
            "command": SLEEP,
            "volumeMounts": [
                {"name": "conf", "mountPath": "/etc/conf"},
                {"name": "host", "mountPath": "/host", "readOnly": True},
                {"name": "claim", "mountPath": "/data"},
            ],
        },
    ),
    "two containers": (
        {"name": "one", "command": SLEEP, "env": [{"name": "A", "value": "1"}]},
        {"name": "two", "command": ["sleep"], "args": ["1000"], "workingDir": "/etc"},
    ),
    "limits": ({"name": "one", "command": SLEEP, "resources": {"limits": {"memory": "64Mi"}}},),
}
BESIDE = [
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "conf"},
        "data": {"mode": "fast & loose", "app.ini": "[a]\nb = $(c)\n"},
    },
    {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "claim"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    },
]
VOLUMES = [
    {"name": "conf", "configMap": {"name": "conf"}},
    {"name": "host", "hostPath": {"path": "/etc", "type": "Directory"}},
    {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}},
]


def pod(what: str) -> str:
    """The name of the pod with this."""
    return what.replace(" ", "-")


def manifest() -> str:
    """All of the pods in one file."""
    pods = []
    for what, containers in PODS.items():
        said = json.dumps(containers)
        volumes = [each for each in VOLUMES if f'"name": "{each["name"]}", "mountPath"' in said]
        spec = {
            "terminationGracePeriodSeconds": 0,
            "containers": [{**each, "image": IMAGE, "imagePullPolicy": "Never"} for each in containers],
            **({"volumes": volumes} if volumes else {}),
        }
        metadata = {"name": pod(what), "labels": {"app": pod(what)}}
        pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    return yaml.safe_dump_all([*BESIDE, *pods])


def seen(fleet: Fleet, node: str, name: str, files: list[str]) -> dict[str, Any]:
    """What a container is made of, as far as people wrote it."""
    (box,) = json.loads(fleet.runtime_cli(node, "inspect", "--type", "container", name))
    config, host = box["Config"], box["HostConfig"]
    environ = dict(entry.partition("=")[::2] for entry in config["Env"])
    for own in ("HOSTNAME", "HOME", "PATH", "TERM", "container"):
        environ.pop(own, None)
    mounts = {
        each["Destination"]: (each["Type"], each["RW"], each["Source"] if each["Type"] == "bind" else "")
        for each in box["Mounts"]
        if not any(each["Destination"].startswith(folder) for folder in (*files, "/etc/hosts", "/dev/"))
    }
    find = "for f in $(find -L $0 -type f | grep -v '/\\.\\.' | sort); do echo $f; cat $f; done"
    return {
        "argv": [box["Path"], *box["Args"]],
        "environment": environ,
        "user": config["User"],
        "folder": config["WorkingDir"],
        "terminal": config["Tty"],
        "mounts": mounts,
        "files": [fleet.runtime_cli(node, "exec", name, "sh", "-c", find, folder) for folder in files],
        "rights": (host["Privileged"], host["ReadonlyRootfs"], sorted(box["EffectiveCaps"] or [])),
        "memory": host["Memory"],
    }


def ports(fleet: Fleet, node: str, names: list[str]) -> set[tuple[str, str]]:
    """The node's ports that lead to any of these containers."""
    found = set()
    for name in names:
        (box,) = json.loads(fleet.runtime_cli(node, "inspect", "--type", "container", name))
        for inside, bindings in (box["HostConfig"]["PortBindings"] or {}).items():
            found |= {(inside, each["HostPort"]) for each in bindings}
    return found


def listed(fleet: Fleet, node: str) -> list[str]:
    return fleet.runtime_cli(node, "ps", "-a", "--format", "{{.Names}}").split()


@pytest.mark.matrix
def test_podman_makes_the_same_containers_of_the_same_manifest(fleet: Fleet) -> None:
    node = next(name for name in fleet.names if fleet.runtime(name) == "podman")
    file = fleet.write("app.yaml", manifest())
    fleet.lab.run(node, ["sh", "-c", "cat >/tmp/app.yaml"], input=file.read_bytes())
    fleet.runtime_cli(node, "kube", "play", "/tmp/app.yaml")
    names = listed(fleet, node)
    theirs = {what: made(fleet, node, what, [name for name in names if f"{pod(what)}-" in name]) for what in PODS}
    their_ports = ports(fleet, node, names)
    fleet.runtime_cli(node, "kube", "down", "/tmp/app.yaml")
    fleet.runtime_cli(node, "volume", "rm", "--all", "--force")
    fleet.shipyard("apply", "app.yaml", "--hosts", node).expect(0)
    names = listed(fleet, node)
    ours = {what: made(fleet, node, what, [name for name in names if f"-{pod(what)}-" in name]) for what in PODS}
    different = {
        (what, name, key): (value, theirs[what][name][key])
        for what, found in ours.items()
        for name, container in found.items()
        for key, value in container.items()
        if value != theirs[what][name][key]
    }
    assert different == {}
    assert ports(fleet, node, names) == their_ports


def made(fleet: Fleet, node: str, what: str, names: list[str]) -> dict[str, dict[str, Any]]:
    """One pod's containers by their names in the manifest. `names`: of what was made of it, its network's holder too.

    Podman calls them POD-NAME; ours end in .NAME, but for the first, which has none behind it.
    """
    files = ["/etc/conf"] if what == "files and folders" else []
    found = {}
    for number, each in enumerate(PODS[what]):
        (name,) = (
            name
            for name in names
            if name == f"{pod(what)}-{each['name']}"
            or (name.startswith("default-") and name.partition(".")[2] == (each["name"] if number else ""))
        )
        found[each["name"]] = seen(fleet, node, name, files)
    return found
