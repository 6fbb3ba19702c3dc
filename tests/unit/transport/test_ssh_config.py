"""A corpus of ssh_config files, each read as `ssh` itself reads it: the same connection, or both refuse it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import sshoracle

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "ssh" / "configs.yml").read_text())


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_it_means_what_openssh_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: dict[str, Any]) -> None:
    for name in ("SSH_AUTH_SOCK", "NOT_SET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in case.get("environ", {}).items():
        monkeypatch.setenv(name, value)
    files = {"config": case["config"], **case.get("files", {})}
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("<dir>", str(tmp_path)), newline="")
        path.chmod(case.get("mode", 0o644))
    for host in case.get("hosts", ["web"]):
        sshoracle.agree(tmp_path / "config", host, case.get("arguments", ()))


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60
    assert len({case["name"] for case in CASES}) == len(CASES)
