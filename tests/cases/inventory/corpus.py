"""The corpus of inventories: cases by theme in the YAML files here, Ansible's answers beside them.

`python -m tests.cases.inventory.corpus` asks Ansible again and writes the answers. A case is

    name:      what it shows, in words
    files:     path: text; a path with a trailing `*` is made executable
    sources:   as given with -i (default: hosts)
    playbook_dir, patterns:  optional; `PATTERN | LIMIT` is a pattern with a limit
    error:     the error it must give here (then Ansible's answer is only compared as an error, unless `stricter`)
    stricter:  why it is an error here though Ansible takes it
    warnings:  parts of the warnings expected
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
THEMES = tuple(sorted(path.stem for path in HERE.glob("*.yml")))


@dataclass(frozen=True)
class Case:
    theme: str
    name: str
    files: dict[str, str]
    sources: tuple[str, ...] = ("hosts",)
    playbook_dir: str | None = None
    patterns: tuple[str, ...] = ()
    error: str | None = None
    stricter: str | None = None
    warnings: tuple[str, ...] = ()

    def write(self, folder: Path) -> Path:
        """Make the files of this case; returns its folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            path = folder / name.rstrip("*")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", "surrogateescape"))
            if name.endswith("*"):
                path.chmod(0o755)
        if self.playbook_dir is not None:
            (folder / self.playbook_dir).mkdir(parents=True, exist_ok=True)
        return folder


def cases(theme: str) -> list[Case]:
    """The cases of one file."""
    made = []
    for entry in yaml.safe_load((HERE / f"{theme}.yml").read_text()):
        lists = {key: tuple(entry.pop(key)) for key in ("sources", "patterns", "warnings") if key in entry}
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
