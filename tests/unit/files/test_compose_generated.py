"""Files that nobody wrote: laid over each other, extended, reset, interpolated, as Docker Compose reads them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from shipyard.base.errors import ShipyardError
from shipyard.files import composefile, kinds
from tests.examples import examples
from tests.unit.files.test_composefile import CASES, COMPOSE

VALUES: dict[str, list[str]] = yaml.safe_load((CASES / "values.yml").read_text())
BESIDE = {"one.env": "A=one\nX='q ${A}'\n", "two.env": "A=two\nY=$X\n", "lab.env": "q=r\n", "s.txt": "s", "c.txt": "c"}
ENVIRON = {"A": "a", "B": "b b", "E": "", "N": "3", "T": "true", "P": "8080"}
TOP = {
    "networks": [
        "{front: , back: {driver: bridge}}",
        "{front: {internal: true, labels: [a=b]}, back: {name: bb}}",
        "{front: {labels: {a: c, d: }, driver_opts: {x: 1}}, back: {ipam: {config: [{subnet: 10.1.0.0/16}]}}}",
        "{back: {ipam: {driver: default}}, front: {attachable: '${T}', enable_ipv6: 'no'}}",
    ],
    "volumes": [
        "{da: , db: }",
        "{da: {driver: local, driver_opts: {type: nfs, o: 'addr=${A}'}}, db: {name: '${B}'}}",
        "{da: {labels: {x: z}}, db: {driver_opts: {o: 1}}}",
        "{da: {labels: [x=y, w]}, db: {driver: local, driver_opts: {o: bind, device: ./x}}}",
    ],
    "secrets": ["{sec: {file: ./s.txt}, sec2: {environment: A}}", "{sec: {name: n}, sec2: {x-a: 1}}"],
    "configs": ["{con: {content: 'a ${A} $$b'}, con2: {file: c.txt}}", "{con: {labels: {a: b}}, con2: {name: '${A}'}}"],
}


def expressions() -> st.SearchStrategy[str]:
    """Texts with variables in every form, nested. A, B are set, E is empty, U is not set."""
    words = st.sampled_from(["x", " y ", "$$", "-", ":", "z.1", "?", "+", "é", "$A.", "${B}", "${E}", "${U}"])
    return st.recursive(
        words,
        lambda inner: st.builds(
            lambda name, operator, word, rest: f"${{{name}{operator}{word}}}{rest}",
            st.sampled_from("ABEU"),
            st.sampled_from([":-", "-", ":+", "+"]),
            inner,
            inner,
        ),
        max_leaves=8,
    )


Service = dict[str, str]


def services(keys: list[str], later: bool) -> st.SearchStrategy[Service]:
    """Some of these keys. In a later file some are reset or override the earlier one's."""
    tags = st.sampled_from(["", "", "", "", "!reset ", "!override "]) if later else st.just("")
    given_keys = {key: st.builds(str.__add__, tags, st.sampled_from(VALUES[key])) for key in keys}
    image = st.sampled_from(["nginx", "'img:${A}'", "'${U:-x/y}:1'", "'${E:+no}repo'"])
    quoted = expressions().map(lambda text: json.dumps(text, ensure_ascii=False))
    said = quoted.map(lambda text: f"{{SAID: {text}}}")
    optional = {**given_keys, **({"image": image} if later else {}), "x-said": said}
    return st.fixed_dictionaries({} if later else {"image": image}, optional=optional)


@st.composite
def projects(draw: st.DrawFn) -> dict[str, str]:
    """Up to three files by name in the order in which they are given, and what they extend."""
    keys = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4, unique=True))
    files: dict[str, str] = {}
    for number in range(draw(st.sampled_from([1, 2, 2, 3]))):
        web = draw(services(keys, later=number > 0))
        others = {"db": {"image": "db"}, "cache": {"image": "cache"}} if not number else {}
        if not number:
            way = draw(st.sampled_from(["", "", "here", "{service: here}", "{file: sub/base.yaml, service: base}"]))
            if way:
                web["extends"] = way
            others["here"] = draw(services(keys, later=False)) if "here" in way else {"image": "here"}
        sections = {
            name: draw(st.sampled_from(said if number else said[:1]))
            for name, said in TOP.items()
            if not number or draw(st.booleans())
        }
        files[f"f{number}.yaml"] = text({"web": web, **others}, sections)
    files["sub/base.yaml"] = text({"base": draw(services(keys, later=False))}, {})
    return files


def text(named: dict[str, Service], sections: dict[str, str]) -> str:
    lines = ["services:"]
    for name, service in named.items():
        lines += [f"  {name}:", *(f"    {key}: {value}" for key, value in service.items())]
        lines[-1] += "" if service else " {}"
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in sections.items())]) + "\n"


def theirs(paths: list[Path], environ: dict[str, str]) -> Any:
    command = [str(COMPOSE), *(word for path in paths for word in ("-f", str(path))), "--profile", "*"]
    command += ["config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    # a truth value, a number or nothing behind `!override` is a text to Compose, and refused where it has to be none
    said = "".join(path.read_text() for path in paths)
    assume("!override" not in said or not re.search(r"must be an? (boolean|number|integer)", done.stderr))
    assume(not re.search(r"^ *(command|entrypoint): !override *$", said, re.MULTILINE))
    return json.loads(done.stdout) if done.returncode == 0 else f"refused: {done.stderr}"


def ours(paths: list[Path], environ: dict[str, str]) -> Any:
    try:
        return composefile.normal_form(paths, kinds.Wish(profiles=("*",)), project=paths[0].parent, environ=environ)
    except ShipyardError as error:
        return f"refused: {error}"


@pytest.mark.thorough
@pytest.mark.skipif(COMPOSE is None, reason="needs docker-compose, which the extra dev brings")
@given(projects())
@settings(max_examples=examples(40, 1000), deadline=None, suppress_health_check=list(HealthCheck))
def test_what_files_come_to_is_what_compose_makes_of_them(files: dict[str, str]) -> None:
    """The same form, or refused by both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve() / "p"
        for path, said in {**files, **BESIDE, **{f"sub/{path}": said for path, said in BESIDE.items()}}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(said)
        paths = [folder / path for path in files if path.startswith("f")]
        environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **ENVIRON}
        expected, found = theirs(paths, environ), ours(paths, environ)
        # a mapping that stands where there may be a list, and is merged with a text, becomes `path=one.env` there
        assume("path=one.env not found" not in str(expected))
        note("\n".join(f"# {path}\n{said}" for path, said in files.items()))
        if isinstance(expected, str) or isinstance(found, str):
            assert isinstance(expected, str) and isinstance(found, str), f"{found}\n{expected}"
        else:
            assert found == expected
