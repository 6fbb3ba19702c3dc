"""Ansible doing the same job: see that the node's five containers exist, and make the missing ones.

ansible-core alone has no module for containers, so each is a `shell` task, as people without the collection write
it: look, and create where it is missing. That is less work than comparing every option would be, and so in Ansible's
favour. Tuned: pipelining, connections kept open, all hosts at once, no facts, no search for an interpreter.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from bench.floor import creation
from bench.ground import SERVICES, Ground
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


def write(ground: Ground, names: Mapping[str, Mapping[str, str]]) -> None:
    """Inventory, playbook and settings. `names`: by node and service, what the containers are called."""
    inventory = yaml.safe_load(ground.lab.inventory.read_text())
    for node, containers in names.items():
        inventory["lab"]["hosts"][node]["containers"] = dict(containers)
    place = _place(ground)
    place.mkdir(exist_ok=True)
    (place / "ansible.cfg").write_text(_CONFIG.format(forks=ground.size))
    lab = {"lab": inventory["lab"]}
    (place / "hosts.yml").write_text(yaml.safe_dump(lab, sort_keys=False))
    play = {"hosts": "lab", "gather_facts": False, "tasks": [_task(ground, service) for service in SERVICES]}
    (place / "site.yml").write_text(yaml.safe_dump([play], sort_keys=False, width=1000))


def run(ground: Ground) -> Cost:
    """One run of the playbook, as a whole process. CPU without that of the connections that stay open."""
    env = {**ground.env, "ANSIBLE_CONFIG": "ansible.cfg", "LC_ALL": "C.UTF-8"}
    return measured([PROGRAM, "-i", "hosts.yml", "site.yml"], cwd=_place(ground), env=env)


def own_names(ground: Ground) -> dict[str, dict[str, str]]:
    """For containers that Ansible makes itself."""
    return {node.name: {service: f"floor-{service}-1-000000" for service in SERVICES} for node in ground.lab.nodes}


def existing_names(ground: Ground) -> dict[str, dict[str, str]]:
    """Of the containers that are there, so that Ansible finds nothing to do."""
    return {
        node.name: dict(zip(SERVICES, sorted(ground.fleet.containers(node.name)), strict=True))
        for node in ground.lab.nodes
    }


def _task(ground: Ground, service: str) -> dict[str, object]:
    name = f"{{{{ containers.{service} }}}}"
    making = creation(ground.runtime, (service,)).replace(f"floor-{service}-1-000000", name)
    looking = f"{ground.runtime} container inspect {name} >/dev/null 2>&1 && exit 0"
    return {
        "name": service,
        "ansible.builtin.shell": f"{looking}\n{making}\necho created",
        "register": "result",
        "changed_when": "'created' in result.stdout",
    }


def _place(ground: Ground) -> Path:
    return ground.folder / "ansible"
