"""Compose's normal form: what `convert --to compose -o json` writes is what the real program says of the same files."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shipyard.base.errors import ShipyardError
from shipyard.files import composefile, kinds
from tests.unit.files.test_composefile import COMPOSE, cases, written

DOCS = Path(__file__).parents[3] / "docs" / "compose.md"
ALL = [*cases("good.yml"), *cases("normal.yml")]


def environment(case: dict[str, Any], folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), **case.get("env", {})}


def theirs(case: dict[str, Any], paths: list[Path]) -> Any:
    folder = paths[0].parent
    command = [str(COMPOSE), *(word for path in paths for word in ("-f", str(path)))]
    command += [word for profile in case.get("profiles", ()) for word in ("--profile", profile)]
    command += [word for name in case.get("env_files", ()) for word in ("--env-file", str(folder / name))]
    command += ["config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(case, folder), check=False)
    assert done.returncode == 0, f"{case['what']}: {done.stderr}"
    return json.loads(done.stdout)


def ours(case: dict[str, Any], paths: list[Path]) -> Any:
    folder = paths[0].parent
    env_files = tuple(str(folder / name) for name in case.get("env_files", ()))
    wish = kinds.Wish(profiles=tuple(case.get("profiles", ())), env_files=env_files)
    try:
        return composefile.normal_form(paths, wish, project=folder, environ=environment(case, folder))
    except ShipyardError as error:
        return str(error)


@pytest.mark.thorough
@pytest.mark.skipif(COMPOSE is None, reason="needs docker-compose, which the extra dev brings")
def test_the_normal_form_is_composes(tmp_path: Path) -> None:
    """All are equal but those said to differ, which do differ and stand in the documentation."""
    todo = []
    for number, case in enumerate(ALL):
        folder = tmp_path / f"p{number}"
        folder.mkdir()
        todo.append((case, written(case, folder)))
    assert len(todo) >= 180
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda each: theirs(*each), todo))
    wrong = []
    for (case, paths), expected in zip(todo, said, strict=True):
        found = ours(case, paths)
        if (found == expected) == ("differs" in case):
            wrong.append(f"{case['what']}:\n  {found}\n  {expected}")
    assert not wrong, "\n".join(wrong)


def test_what_differs_is_documented() -> None:
    table = DOCS.read_text()
    for case in ALL:
        if "differs" in case:
            assert f"| {case['differs']} |" in table, case["what"]


ODD: tuple[Any, ...] = (1, "x", True, [1], ["a", {"b": [1]}], {"a": 1}, {"a": {"b": [None]}}, [None], [[1]], -1.5)


def test_no_shape_of_a_value_gives_a_traceback(tmp_path: Path) -> None:
    """Every key, with everything that it may not be: an error with its place, or some form."""
    keys = {key for case in ALL for key in case.get("web", {})} | {"links", "volumes_from", "label_file", "networks"}
    errors = 0
    for key in sorted(keys):
        for odd in ODD:
            case = {"what": key, "web": {key: odd}}
            found = ours(case, written(case, tmp_path))
            errors += isinstance(found, str)
            assert not isinstance(found, str) or "compose.yaml:" in found or "no service" in found, found
    assert errors > len(keys)
