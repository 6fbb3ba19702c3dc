"""The results as a page: what was measured, on which machine, with which versions."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bench.sample import Row, table

_LIBRARIES = ("paramiko", "cryptography", "sqlalchemy", "click", "rich", "ansible-core")
_COMMANDS = (
    ("OpenSSH", ("ssh", "-V")),
    ("docker", ("/usr/bin/docker", "--version")),
    ("podman", ("podman", "--version")),
)


@dataclass(slots=True)
class Report:
    """What was found so far."""

    sections: dict[str, list[Row]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def add(self, title: str, rows: list[Row], part: str, loads: tuple[float, float]) -> None:
        """One part's rows, and the machine's load when it began and ended."""
        self.sections.setdefault(title, []).extend(rows)
        self.loads.append(f"{part} {loads[0]:.1f} to {loads[1]:.1f}")

    def problem(self, title: str, part: str, words: str) -> None:
        """A part that could not be measured."""
        self.problems.append(f"{title}, {part}: {words}")
        print(f"failed: {self.problems[-1]}", file=sys.stderr)

    def text(self, command: str) -> str:
        """The page, in Markdown."""
        parts = [
            "# Results\n",
            f"Written by `{command}`; README.md says how it is measured and what the words mean.\n",
            _facts(self.began, self.loads),
        ]
        for title, rows in self.sections.items():
            judged = [row for row in rows if row.target is not None]
            others = [row for row in rows if row.target is None]
            parts.append(f"## {title}\n")
            parts += [table(each) for each in (judged, others) if each]
        if self.problems:
            parts.append("## Not measured\n")
            parts.append("".join(f"- {problem}\n" for problem in self.problems))
        return "\n".join(parts)


def load() -> float:
    """The machine's load over the last minute."""
    return os.getloadavg()[0]


def _facts(began: datetime, loads: list[str]) -> str:
    ended = datetime.now(UTC)
    facts = {
        "when": f"{began:%Y-%m-%d %H:%M} to {ended:%H:%M} UTC",
        "machine": f"{os.cpu_count()} x {_processor()}, {_memory()} GiB, Linux {platform.release()}",
        "shipyard": f"{metadata.version('shipyard')}, commit {_said(('git', 'describe', '--always', '--dirty'))}",
        "Python": platform.python_version(),
        "libraries": ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES),
        "programs": ", ".join(f"{name} {_version(argv)}" for name, argv in _COMMANDS),
        "load before and after": "; ".join(loads),
    }
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def _processor() -> str:
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return names[0] if names else platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _version(argv: tuple[str, ...]) -> str:
    found = re.search(r"\d+\.\d[\w.+~]*", _said(argv))
    return found[0] if found else "unknown"


def _said(argv: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return (done.stdout or done.stderr).strip()
