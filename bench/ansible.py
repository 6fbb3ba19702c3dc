"""Ansible doing the same job: see that the node's network and five containers are as declared, and mend what is not.

With the modules that people use for it, `community.docker` and `containers.podman`, a task for each container, as in
their documentation.
Tuned: pipelining, connections kept open, all hosts at once, no facts, no search for an interpreter.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from bench.ground import COMMAND, IMAGE, SERVICES, Ground
from bench.process import Cost, measured

PROGRAM = str(Path(sys.executable).with_name("ansible-playbook"))

_CONFIG = """\
[defaults]
forks = {forks}
gathering = explicit
interpreter_python = /usr/bin/python3
host_key_checking = True
retry_files_enabled = False
[ssh_connection]
pipelining = True
ssh_args = -F /dev/null -o ControlMaster=auto -o ControlPersist=600s -o KexAlgorithms=curve25519-sha256
"""


def write(ground: Ground, names: Mapping[str, Mapping[str, str]], network: str) -> None:
    """Inventory, playbook and settings. `names`: by node and service, what the containers are called."""
    inventory = yaml.safe_load(ground.lab.inventory.read_text())
    for node, containers in names.items():
        inventory["lab"]["hosts"][node]["containers"] = dict(containers)
    inventory["lab"]["vars"]["network"] = network
    place = _place(ground)
    place.mkdir(exist_ok=True)
    (place / "ansible.cfg").write_text(_CONFIG.format(forks=ground.size))
    lab = {"lab": inventory["lab"]}
    (place / "hosts.yml").write_text(yaml.safe_dump(lab, sort_keys=False))
    tasks = [_network(ground), *(_container(ground, service) for service in SERVICES)]
    play = {"hosts": "lab", "gather_facts": False, "tasks": tasks}
    (place / "site.yml").write_text(yaml.safe_dump([play], sort_keys=False, width=1000))


def run(ground: Ground) -> Cost:
    """One run of the playbook, as a whole process. CPU without that of the connections that stay open."""
    env = {**ground.env, "ANSIBLE_CONFIG": "ansible.cfg", "LC_ALL": "C.UTF-8"}
    return measured([PROGRAM, "-i", "hosts.yml", "site.yml"], cwd=_place(ground), env=env)


def own_names(ground: Ground) -> dict[str, dict[str, str]]:
    """For containers that Ansible makes itself."""
    return {node.name: {service: f"floor-{service}-1-000000" for service in SERVICES} for node in ground.lab.nodes}


def _network(ground: Ground) -> dict[str, object]:
    module = {"docker": "community.docker.docker_network", "podman": "containers.podman.podman_network"}
    return {"name": "network", module[ground.runtime]: {"name": "{{ network }}"}}


def _container(ground: Ground, service: str) -> dict[str, object]:
    options: dict[str, object] = {
        "name": f"{{{{ containers.{service} }}}}",
        "image": IMAGE,
        "command": list(COMMAND),
        "state": "started",
    }
    if ground.runtime == "docker":
        more = {"networks": [{"name": "{{ network }}", "aliases": [service]}], "restart_policy": "always"}
        return {"name": service, "community.docker.docker_container": options | more}
    return {"name": service, "containers.podman.podman_container": options | {"network": "{{ network }}"}}


def _place(ground: Ground) -> Path:
    return ground.folder / "ansible"
