"""Inventories made at random, from a seed, to be held against Ansible's reading of them.

Left out on purpose: hosts named `all` or like a group, of which Ansible loses some; and circles of groups over
several sources, which it finds or not depending on the order of a set.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

import yaml

from tests.cases.inventory.corpus import Case

GROUPS = ("ga", "gb", "gc", "gd", "ge")
HOSTS = (
    "h1", "h2", "h[1:3]", "x[a:c]", "h4:22", "h5.lan", "[2001:db8::1]:5", "localhost", "10.0.0.1", "h[01:03]", "w-1",
)  # fmt: skip
VALUES = (
    "1", "true", "True", "x y", '"q"', "'q'", "[1,2]", '{"a":1}', "1.5", "0x1f", "", "a#b", "a # b", "010", "None", "~",
    "(1,)", "-1", "1e2", "a=b", "{{ v }}", "\\n", '"a', "1_0", "é", "$x", "5 ", '"5"', "True # c", "b'x'", "...", "1j",
)  # fmt: skip
LABELS = ("prod", "dev", "prod", "unknown")
PATTERNS = ("all", "ga:&gb", "!ga", "ga,h2", "h*", "*:!gc", "~h[12]", "localhost", "h1")


def case(seed: int) -> Case:
    """One case: one or two sources, INI or YAML, some with group_vars and host_vars, perhaps a playbook's folder.

    Some of their variables are encrypted, with passwords that are known or not.
    """
    random = Random(seed)
    files: dict[str, str] = {}
    sources = []
    for number in range(random.choice((1, 1, 1, 2))):
        folder = random.choice(("", f"d{number}/"))
        make, ending = random.choice(((_any_ini, ""), (_sound_ini, ".ini"), (_sound_ini, ".ini"), (_yaml, ".yml")))
        sources.append(f"{folder}s{number}{ending}")
        files[sources[-1]] = make(random)
        _add_variables(random, folder, files)
    playbook = random.choice((None, None, "play"))
    if playbook:
        _add_variables(random, "play/", files)
    known = random.choice((("prod",), ("dev", "prod"), ("prod", "dev")))
    values = tuple(f"v{number}" for number in range(5))
    return Case("generated", str(seed), files, tuple(sources), playbook, PATTERNS, values=values, vault=known)


def _is_free(path: str, files: dict[str, str]) -> bool:
    """Whether a file can be there beside the others, labels of encrypted ones left aside."""
    others = [name.partition("$")[0] for name in files]
    return not any(path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/") for other in others)


def _add_variables(random: Random, folder: str, files: dict[str, str]) -> None:
    for _ in range(random.randint(0, 3)):
        kind = random.choice(("group_vars/", "host_vars/"))
        name = random.choice(("all", "ga", "gb", "h1", "h2", "ungrouped", "localhost"))
        path = folder + kind + name + random.choice(("", ".yml", ".json", "/x.yml"))
        if _is_free(path, files):
            files[path] = json.dumps({f"v{random.randint(0, 4)}": path})
            if random.random() < 0.3:
                label = random.choice(LABELS)
                files[f"{path}${label}"] = files.pop(path)
            elif random.random() < 0.3:
                files[path] = f"v{random.randint(0, 4)}: %vault:{random.choice(LABELS)}% {{{{ v1 }}}} {path}\n"


def _assignments(random: Random) -> str:
    return "".join(f" v{random.randint(0, 3)}={random.choice(VALUES)}" for _ in range(random.randint(0, 2)))


def _any_ini(random: Random) -> str:
    """Lines of all kinds in any order: mostly wrong somewhere."""
    kinds = (
        lambda: (
            f"[{random.choice(GROUPS)}{random.choice(('', '', ':vars', ':children'))}]{random.choice(('', ' # c'))}"
        ),
        lambda: random.choice(HOSTS) + _assignments(random),
        lambda: f"v{random.randint(0, 3)}{random.choice(('=', ' = '))}{random.choice(VALUES)}",
        lambda: random.choice(("# c", "", "; d", "[bad x]", "ansible_group_priority=3")),
    )
    return "\n".join(random.choice(kinds)() for _ in range(random.randint(1, 12))) + "\n"


def _sound_ini(random: Random) -> str:
    declared = random.sample(GROUPS, random.randint(1, 5))
    lines = random.choices(HOSTS, k=random.randint(0, 1))
    for group in declared:
        lines.append(f"[{group}]")
        lines += [random.choice(HOSTS) + f" v{random.randint(0, 3)}=1" for _ in range(random.randint(0, 3))]
    for place, group in enumerate(sorted(declared), 1):
        below = sorted(declared)[place:]
        if below and random.random() < 0.5:
            lines += [f"[{group}:children]", *random.sample(below, random.randint(1, len(below)))]
        if random.random() < 0.6:
            lines += [f"[{group}:vars]", *(f"v{random.randint(0, 4)}={group}" for _ in range(3))]
            lines += random.choices(("ansible_group_priority=2", "ansible_group_priority=5", "#"))
    return "\n".join(lines) + "\n"


def _yaml(random: Random) -> str:
    return yaml.safe_dump({name: _group(random, place) for place, name in enumerate(GROUPS)}, sort_keys=False)


def _group(random: Random, place: int) -> dict[str, Any] | None:
    body: dict[str, Any] = {}
    values = (1, "a", None, True, [1], {"k": 1})
    for key in random.sample(("hosts", "vars", "children", "odd"), random.randint(0, 3)):
        if key == "hosts":
            body[key] = {random.choice(HOSTS): {f"v{random.randint(0, 3)}": random.choice(values)} for _ in range(2)}
        elif key == "vars":
            body[key] = {
                f"v{random.randint(0, 3)}": random.choice(values),
                "ansible_group_priority": random.randint(0, 5),
            }
        elif key == "children" and place < 4:
            body[key] = {child: _group(random, place + 1) for child in random.sample(GROUPS[place + 1 :], 1)}
        elif random.random() < 0.2:
            body[key] = random.choice((5, ["h1"], {"x": 1}))
    return body or None
