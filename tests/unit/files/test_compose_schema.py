"""Compose's own schema: what it refuses is an error at its place, in words, with the key that was meant."""

from __future__ import annotations

import json
import os
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.base.errors import FileErrors
from shipyard.files import composefile, kinds
from shipyard.files.composefile import schema
from shipyard.files.composefile.nodes import nodes
from shipyard.files.yamldoc import load_all
from tests.unit.files.test_composefile import COMPOSE, cases, load, written

KEYWORDS = {
    *("additionalProperties", "allOf", "enum", "items", "maximum", "minimum", "oneOf", "pattern", "patternProperties"),
    *("properties", "required", "type", "unevaluatedProperties", "uniqueItems", "$ref"),
    *("default", "deprecated", "description"),  # these refuse nothing
}
OF_DOCUMENTS = {"$schema", "$id", "title", "$defs"}


def parts(said: Any) -> Any:
    """Every schema within a schema."""
    yield said
    for key, value in said.items():
        if key in ("properties", "patternProperties", "$defs"):
            inner = [each for name, each in value.items() if name not in ("jobs", "job")]
        elif key in ("oneOf", "allOf"):
            inner = value
        else:
            inner = [value] if key in ("items", "additionalProperties") and isinstance(value, dict) else []
        for each in inner:
            yield from parts(each)


def test_the_schema_says_nothing_that_is_not_understood() -> None:
    whole = schema.specification()
    used = {keyword for part in parts(whole) for keyword in part}
    assert used - OF_DOCUMENTS <= KEYWORDS
    walk = schema._Checking(whole)
    for part in parts(whole):
        if "oneOf" in part:  # told apart by the kind of the value
            kinds_of = [kind for each in part["oneOf"] for kind in schema._types(walk._whole(each))]
            assert len(kinds_of) == len(set(kinds_of)) > 1, part


def problems(data: Any) -> list[str]:
    (document,) = load_all(json.dumps(data), "c", "1.2")
    return [str(error) for error in schema.problems(nodes(document))]


ODD = [None, True, 0, -5, 1.5, "", "x", "all", "bind", [], ["x"], ["x", "x"], [1], {}, {"a": 1}, {"target": 80}, [{}]]
WORDS = ["image", "x-a", "typo", "source", "target", "type", "path", "a b"]


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


VALIDATOR = jsonschema.Draft202012Validator(dict(schema.specification()))
EXAMPLES = [case["web"] for case in (*cases("good.yml"), *cases("normal.yml")) if "$" not in str(case.get("web", "$"))]
SERVICES = {f"s{number}": {"image": "nginx", **web} for number, web in enumerate(EXAMPLES)}
WHOLE = {"services": {name: web for name, web in SERVICES.items() if VALIDATOR.is_valid({"services": {name: web}})}}
PLACES = [place for place in places(WHOLE) if len(place) >= 2]


def test_what_the_examples_say_is_taken() -> None:
    """But two, in whose lists something is there twice, which merging would have mended."""
    assert len(SERVICES) - len(WHOLE["services"]) == 2
    assert problems(WHOLE) == []
    assert len(PLACES) > 400


@given(st.sampled_from(PLACES), st.sampled_from(ODD), st.none() | st.sampled_from(WORDS))
@settings(max_examples=300, deadline=None)
def test_it_refuses_what_the_schema_refuses(place: tuple[Any, ...], odd: Any, key: str | None) -> None:
    """One value of the examples changed, or a key added beside it: as a whole validator of JSON schemas has it."""
    name = place[1]
    service = deepcopy(WHOLE["services"][name])
    data = {"services": {name: service}}
    inner: Any = data
    for part in place[:-1]:
        inner = inner[part]
    if key is not None and isinstance(inner, dict):
        inner[key] = odd
    else:
        inner[place[-1]] = odd
    assert (problems(data) == []) == VALIDATOR.is_valid(data), (problems(data), data)


SAID = yaml.safe_load((Path(__file__).parents[2] / "cases" / "compose" / "schema.yml").read_text())


@pytest.mark.parametrize("case", [pytest.param(case, id=case["what"]) for case in SAID])
def test_what_it_is_told(case: dict[str, Any], tmp_path: Path) -> None:
    """`convert` alone looks at keys that no fleet has a use for, so it is what is asked here."""
    with pytest.raises(FileErrors) as caught:
        composefile.normal_form(written(case, tmp_path), kinds.Wish(), project=tmp_path, environ={})
    assert str(caught.value).replace(f"{tmp_path}/", "") == case["says"].rstrip("\n")


@pytest.mark.thorough
@pytest.mark.skipif(COMPOSE is None, reason="needs docker-compose, which the extra dev brings")
@pytest.mark.parametrize("case", [pytest.param(case, id=case["what"]) for case in SAID])
def test_compose_refuses_it_too(case: dict[str, Any], tmp_path: Path) -> None:
    command = [str(COMPOSE), *(word for path in written(case, tmp_path) for word in ("-f", str(path))), "config"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode != 0, done.stdout


def test_a_key_is_refused_once_and_in_the_better_words(tmp_path: Path) -> None:
    """What the tables of a play's body say of a value goes before what the schema says of it or of what is in it."""
    case = {
        "web": {
            "portz": [],
            "ports": [{"target": 80, "publishd": 1}],
            "build": {"contxt": "."},
            "develop": {"wacth": []},
        }
    }
    with pytest.raises(FileErrors) as caught:
        load(written(case, tmp_path), {})
    said = [(error.key, error.message) for error in caught.value.errors]
    assert said == [
        ("services.web.build", "images are not built here"),
        ("services.web.develop.wacth", "is not a key of develop"),
        ("services.web.ports[0].publishd", "is not a key of a port"),
        ("services.web.portz", "is not a key of a service"),
    ]


def test_a_service_of_no_profile_is_looked_at_as_well(tmp_path: Path) -> None:
    case = {"file": "services:\n  a: {image: nginx}\n  b: {image: nginx, imgae: x, profiles: [debug]}\n"}
    with pytest.raises(FileErrors, match=r"compose.yaml:3:21: services.b.imgae: is not a key of a service"):
        load(written(case, tmp_path), {})
