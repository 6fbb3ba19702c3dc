"""What real runtimes said when they refused, and the word for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipyard.runtime.reasons import reason_of

REFUSALS = json.loads((Path(__file__).parents[2] / "cases" / "runtime" / "refusals.json").read_text())


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case['runtime']}: {case['words'][:60]}")
def test_captured(case: dict[str, str]) -> None:
    assert reason_of(case["words"]) == case["reason"]


def test_a_warning_is_not_the_reason() -> None:
    warning = 'time="2026-11-22T19:05:22Z" level=warning msg="no space left on device"'
    assert reason_of(f"{warning}\nError: nosuch:1: image not known") == "ImageMissing"


def test_what_nobody_knows() -> None:
    assert reason_of("the moon is in the wrong quarter") == "RuntimeFailed"
    assert reason_of("") == "RuntimeFailed"
