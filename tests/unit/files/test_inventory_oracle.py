"""The answers in the corpus are those of the Ansible that is installed, asked now."""

from __future__ import annotations

from pathlib import Path

from tests.cases.inventory.corpus import all_cases, ask, expected


def test_answers_are_ansibles(tmp_path: Path) -> None:
    cases = all_cases()
    answers = ask(cases, tmp_path)
    for case in cases:
        assert answers[case.theme, case.name] == expected(case.theme)[case.name], f"{case.theme}: {case.name}"
