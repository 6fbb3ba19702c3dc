"""The corpus of inventories: cases by theme in the YAML files here, Ansible's answers beside them.

`python -m tests.cases.inventory.corpus` asks Ansible again and writes the answers. A case is

    name:      what it shows, in words
    files:     path: text; a path with a trailing `*` is made executable
    sources:   as given with -i (default: hosts)
    playbook_dir, patterns:  optional; `PATTERN | LIMIT` is a pattern with a limit
    values:    variables that are asked for on each host; null stands for what comes to nothing
    connections:  whether it is asked how each host is reached
    vault:     labels whose passwords of ansible-vault are known; a file whose name ends with `$LABEL` is encrypted,
               and so is the value `%vault:LABEL% TEXT` at the end of a line of YAML
    error:     the error it must give here (then Ansible's answer is only compared as an error, unless `stricter`)
    stricter:  why it is an error here though Ansible takes it
    warnings:  parts of the warnings expected
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shipyard.base.errors import FileError
from shipyard.files.ansiblevault import PROMPT, Identity, Keys
from shipyard.files.inventory import connection_of
from shipyard.files.jinja import Place, host_variables, render
from shipyard.model.inventory import Become, Connection, Host, Inventory
from tests.vaulted import encrypted, value

HERE = Path(__file__).parent
_LISTS = ("sources", "patterns", "values", "vault", "warnings")
THEMES = tuple(sorted(path.stem for path in HERE.glob("*.yml")))


@dataclass(frozen=True)
class Case:
    theme: str
    name: str
    files: dict[str, str]
    sources: tuple[str, ...] = ("hosts",)
    playbook_dir: str | None = None
    patterns: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    connections: bool = False
    vault: tuple[str, ...] = ()
    error: str | None = None
    stricter: str | None = None
    warnings: tuple[str, ...] = ()

    def write(self, folder: Path) -> Path:
        """Make the files of this case; returns its folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            plain, closed, label = name.rstrip("*").partition("$")
            path = folder / plain
            path.parent.mkdir(parents=True, exist_ok=True)
            content = _ENCRYPTED.sub(_value, text)
            content = encrypted(content, password(label), label) if closed else content
            path.write_bytes(content.encode("utf-8", "surrogateescape"))
            if name.endswith("*"):
                path.chmod(0o755)
        if self.playbook_dir is not None:
            (folder / self.playbook_dir).mkdir(parents=True, exist_ok=True)
        return folder


_ENCRYPTED = re.compile(r"^( *)(.*)%vault:(\w+)% (.*)$", re.MULTILINE)


def _value(found: re.Match[str]) -> str:
    indent, before, label, text = found.groups()
    return f"{indent}{before}{value(text, password(label), label, indent=len(indent) + 2)}".rstrip("\n")


def password(label: str) -> str:
    """What texts of this label are encrypted with."""
    return f"the password of {label}"


def keys(case: Case) -> Keys:
    """The passwords that this case knows."""
    known = {f"Vault password ({label})": password(label) for label in case.vault}
    return Keys([Identity(label, PROMPT, "the case") for label in case.vault], ask=known.get)


def comes_to(names: tuple[str, ...], inventory: Inventory) -> dict[str, dict[str, Any]]:
    """What shipyard makes of these variables on each host; None where it makes nothing of one."""
    return {host.name: {name: _rendered(name, inventory, host) for name in names} for host in inventory.hosts}


def reached(inventory: Inventory) -> dict[str, dict[str, Any]]:
    """How shipyard would reach each host, in the oracle's words and with Ansible's defaults."""
    return {host.name: _connection(connection_of(inventory, host)) for host in inventory.hosts}


def _connection(found: Connection) -> dict[str, Any]:
    become = found.become or Become()
    return {
        "host": found.address,
        "port": found.port,
        "user": found.user,
        "password": found.password,
        "key_file": found.key_file,
        "arguments": list(found.common_args),
        "timeout": found.timeout,
        "host_key_checking": found.host_key_checking is not False,
        "become_user": become.user,
        "become_password": become.password,
    }


def _rendered(name: str, inventory: Inventory, host: Host) -> Any:
    try:
        return render("{{ " + name + " }}", host_variables(inventory, host), where=Place("asked"))
    except FileError:
        return None


def cases(theme: str) -> list[Case]:
    """The cases of one file."""
    made = []
    for entry in yaml.safe_load((HERE / f"{theme}.yml").read_text()):
        lists = {key: tuple(entry.pop(key)) for key in _LISTS if key in entry}
        made.append(Case(theme, **entry, **lists))
    return made


def all_cases() -> list[Case]:
    """The whole corpus."""
    return [case for theme in THEMES for case in cases(theme)]


def expected(theme: str) -> dict[str, Any]:
    """Ansible's answers to the cases of one file, by name."""
    answers: dict[str, Any] = json.loads((HERE / "expected" / f"{theme}.json").read_text())
    return answers


def ask(asked: list[Case], folder: Path) -> dict[tuple[str, str], Any]:
    """Ansible's answers now, in one start of it."""
    questions = [
        {
            "folder": str(case.write(folder / str(number))),
            "sources": case.sources,
            "playbook_dir": case.playbook_dir,
            "patterns": case.patterns,
            "values": case.values,
            "connections": case.connections,
            "vault": {label: password(label) for label in case.vault},
        }
        for number, case in enumerate(asked)
    ]
    done = subprocess.run(
        [sys.executable, HERE / "oracle.py"], input=json.dumps(questions).encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    answers = [normal(answer) for answer in json.loads(done.stdout)]
    return {(case.theme, case.name): answer for case, answer in zip(asked, answers, strict=True)}


def normal(answer: dict[str, Any]) -> dict[str, Any]:
    """Of an error only that it is one: its words are Ansible's own."""
    return {"error": True} if "error" in answer else answer


def regenerate() -> None:
    """Write the answers of today's Ansible."""
    with tempfile.TemporaryDirectory() as folder:
        answers = ask(all_cases(), Path(folder))
    for theme in THEMES:
        mine = {name: answer for (of, name), answer in answers.items() if of == theme}
        path = HERE / "expected" / f"{theme}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(mine, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    regenerate()
