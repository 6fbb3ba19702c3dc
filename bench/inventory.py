"""How long a large inventory takes to be read: `shipyard inventory list` beside `ansible-inventory --list`.

Ten thousand hosts in 200 groups below ten others, each group with its file in group_vars, one host in a hundred with
one in host_vars. All that is printed is compared: both say the same of every host.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.ground import PROGRAM
from bench.process import measured
from bench.sample import Row

HOSTS, GROUPS, PARENTS = 10_000, 200, 10
ANSIBLE = str(Path(sys.executable).with_name("ansible-inventory"))
TARGET = 2.0
"""Seconds."""
TIMES = 5.0
"""How much faster than Ansible."""


def measure(repeat: int) -> list[Row]:
    """Rows for INI and for YAML. Ansible reads each once: it takes a minute."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        variables(folder)
        for form, write in (("hosts", ini), ("hosts.yml", yaml)):
            (folder / form).write_text(write())
            env = {"PATH": "/usr/bin:/bin", "HOME": name, "LC_ALL": "C.UTF-8"}
            ours, theirs = [PROGRAM, "-i", form, "inventory", "list"], [ANSIBLE, "-i", form, "--list"]
            _compare(ours, theirs, folder, env)
            costs = [measured(ours, cwd=folder, env=env) for _ in range(repeat)]
            ansible = measured(theirs, cwd=folder, env=env)
            what = f"`inventory list`: {HOSTS:,} hosts in {GROUPS} groups, {'INI' if form == 'hosts' else 'YAML'}"
            walls = tuple(cost.wall for cost in costs)
            rows += [
                Row(what, walls, target=TARGET),
                Row(
                    f"{what}, beside Ansible",
                    walls,
                    reference=("ansible-inventory", ansible.wall),
                    target=TIMES,
                    least=True,
                ),
                Row(
                    f"{what}: CPU",
                    tuple(cost.cpu for cost in costs),
                    reference=("ansible-inventory", ansible.cpu),
                    target=TIMES,
                    least=True,
                ),
                Row(f"{what}: peak memory", tuple(cost.peak / 2**20 for cost in costs), "MiB"),
            ]
            (folder / form).unlink()
    return rows


def _compare(ours: list[str], theirs: list[str], folder: Path, env: dict[str, str]) -> None:
    """Raises RuntimeError where the two do not say the same."""
    said = [
        json.loads(subprocess.run(argv, cwd=folder, env=env, check=True, capture_output=True).stdout)
        for argv in (ours, theirs)
    ]
    if said[0] != said[1]:
        raise RuntimeError("shipyard and Ansible do not read the same")


def members(group: int) -> range:
    """The numbers of a group's hosts."""
    return range(group, HOSTS, GROUPS)


def variables(folder: Path) -> None:
    """group_vars and host_vars."""
    groups, hosts = folder / "group_vars", folder / "host_vars"
    groups.mkdir()
    hosts.mkdir()
    (groups / "all.yml").write_text("ansible_user: deploy\nntp: [a.example.com, b.example.com]\ndomain: example.com\n")
    for number in range(PARENTS):
        (groups / f"site{number}.yml").write_text(f"site: {number}\nregion: eu-{number}\n")
    for number in range(GROUPS):
        lines = "".join(f"role{number}_setting{each}: '{{{{ domain }}}}-{each}'\n" for each in range(10))
        (groups / f"role{number}.yml").write_text(
            f"role: role{number}\nlimits: {{nofile: {number}, nproc: 4096}}\n{lines}"
        )
    for number in range(0, HOSTS, 100):
        (hosts / f"h{number:05}.yml").write_text(f"serial_number: SN{number}\nspare: false\n")


def ini() -> str:
    """The hosts as INI."""
    text = []
    for group in range(GROUPS):
        text.append(f"[role{group}]")
        text += [f"h{number:05} ansible_host={address(number)} rack={number % 40}" for number in members(group)]
    for parent in range(PARENTS):
        text += [f"[site{parent}:children]", *(f"role{group}" for group in range(parent, GROUPS, PARENTS))]
    return "\n".join(text) + "\n"


def yaml() -> str:
    """The same as YAML."""
    text = ["all:", "  children:"]
    for parent in range(PARENTS):
        text += [f"    site{parent}:", "      children:"]
        for group in range(parent, GROUPS, PARENTS):
            text += [f"        role{group}:", "          hosts:"]
            text += [
                f"            h{number:05}: {{ansible_host: {address(number)}, rack: {number % 40}}}"
                for number in members(group)
            ]
    return "\n".join(text) + "\n"


def address(number: int) -> str:
    """Of a host."""
    return f"10.1.{number // 250}.{number % 250 + 1}"
