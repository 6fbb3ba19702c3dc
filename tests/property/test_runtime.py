"""The dialects under arbitrary input: what users write never becomes an option, what nodes say never a crash."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.model.container import Attachment, ConfigMount, ContainerSpec, Healthcheck, Logging, Mount, Ulimit
from shipyard.runtime import environment
from shipyard.runtime.dialect import ProbeRequest, RuntimeState, Unsupported
from shipyard.runtime.dialects import NAMES, by_name
from shipyard.runtime.probing import lookup
from shipyard.runtime.reasons import reason_of
from shipyard.runtime.times import unix
from shipyard.runtime.traits import csv_field, duration

pytestmark = pytest.mark.thorough

CASES = Path(__file__).parents[1] / "cases" / "runtime"
FOLDERS = sorted(path.parent for path in CASES.glob("*/*/sections.json"))

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
pairs = st.lists(st.tuples(words.filter(bool), words), max_size=3).map(lambda each: tuple(sorted(dict(each).items())))
several = st.lists(words, max_size=3).map(tuple)
relaxed = settings(deadline=None)
"""A busy machine is no failure."""
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def specs(draw: st.DrawFn) -> ContainerSpec:
    return ContainerSpec(
        image=draw(st.sampled_from(("a:1", "b@sha256:" + "0" * 64)) | words.filter(lambda word: word[:1] != "-")),
        command=draw(st.none() | several.filter(bool)),
        entrypoint=draw(st.none() | several),
        environment=draw(pairs),
        labels=draw(pairs),
        annotations=draw(pairs),
        hostname=draw(st.none() | words),
        user=draw(st.none() | words),
        working_dir=draw(st.none() | words),
        group_add=draw(several),
        cap_add=draw(several),
        security_opt=draw(several),
        devices=draw(several),
        sysctls=draw(pairs),
        ulimits=draw(st.lists(st.builds(Ulimit, words, st.integers(), st.integers()), max_size=2).map(tuple)),
        dns=draw(several),
        extra_hosts=draw(pairs),
        logging=draw(st.none() | st.builds(Logging, st.none() | words, pairs)),
        healthcheck=draw(st.none() | st.builds(Healthcheck, several)),
        mounts=draw(
            st.lists(st.builds(Mount, st.sampled_from(("bind", "volume")), words, words), max_size=2).map(tuple)
        ),
        configs=draw(st.lists(st.builds(ConfigMount, names, names, words), max_size=2).map(tuple)),
        networks=draw(st.lists(st.builds(Attachment, names, several), max_size=2).map(tuple)),
    )


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(spec=specs())
def test_every_written_word_is_a_value_or_behind_the_image(name: str, spec: ContainerSpec) -> None:
    try:
        commands = by_name(name).create_container("web-1", spec, (), {mount.file_name: "/c" for mount in spec.configs})
    except Unsupported:
        return
    command = next(each for each in commands if each.argv[1] in ("run", "create"))
    end = command.argv.index("--")
    assert all(word.startswith("--") and len(word) > 2 for word in command.argv[2:end])
    assert command.argv[end + 1] == spec.image
    behind = command.argv[end + 2 :]
    assert behind[len(behind) - len(spec.command or ()) :] == (spec.command or ())
    allowed = by_name(name).create_container("web-1", ContainerSpec("x", environment=spec.environment), (), {})[-1].env
    assert command.env == allowed


@relaxed
@given(environment_=pairs)
def test_the_environment_is_whole(environment_: tuple[tuple[str, str], ...]) -> None:
    argv, own = environment.options(environment_)
    said = [word.removeprefix("--env=") for word in argv]
    given_ = dict(own)
    rebuilt = [(word, given_[word]) if word in given_ else tuple(word.split("=", 1)) for word in said]
    assert rebuilt == [
        tuple(f"{name}={value}".split("=", 1)) if "=" in name else (name, value) for name, value in environment_
    ]


@relaxed
@given(value=words.filter(lambda text: "\r" not in text and text))
def test_csv_as_a_csv_reader_takes_it_apart(value: str) -> None:
    assert next(csv.reader([csv_field(value, "podman", "x")], strict=True)) == [value]


@relaxed
@given(seconds=st.floats(0, 10**9))
def test_durations_have_no_exponent(seconds: float) -> None:
    said = duration(seconds)
    assert "e" not in said
    assert float(said.removesuffix("s")) == pytest.approx(seconds, abs=1e-6)


@relaxed
@given(
    text=st.text()
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")
)
def test_times_are_numbers_or_value_errors(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(unix(text), float | int | None)


@relaxed
@given(words=st.text())
def test_any_words_have_a_reason(words: str) -> None:
    assert reason_of(words).isalpha()


@relaxed
@given(image=words)
def test_what_is_looked_up_is_never_an_option_or_a_containers_name(image: str) -> None:
    assert lookup(image) == "" or (":" in lookup(image) and lookup(image)[0] != "-") or len(lookup(image)) == 64


STAND_IN = """
section() { shift; "$@"; }
@NAME@() {
  case "$1 $2" in
    "ps "*) echo "@ID@" ;;
    "volume ls") printf '%s\\n' "$SY_VOLUME"' [1] "other"' 'decoy [2] "other"' ;;
    inspect*) shift 3; printf '%s\\0' inspect "$@" >&9 ;;
  esac
}
exec 9>&1 >/dev/null
"""


@pytest.mark.parametrize("name", ["docker", "podman"])
@settings(max_examples=25, deadline=None)
@given(images=st.lists(words | names, max_size=3), volume=words.filter(lambda word: word and "\n" not in word))
def test_a_shell_hands_over_what_is_asked_for_byte_for_byte(name: str, images: list[str], volume: str) -> None:
    """Through a real shell, with a function in the runtime's place."""
    request = ProbeRequest("c", volumes=(volume,), images=tuple(images))
    stand_in = STAND_IN.replace("@NAME@", name).replace("@ID@", "f" * 64)
    text = by_name(name).probe(request).replace("section volumes", "section volumes >&9")
    environment_ = {"PATH": os.environ["PATH"], "SY_VOLUME": volume}
    done = subprocess.run(
        ["sh", "-s"], input=(stand_in + text).encode(), env=environment_, capture_output=True, check=True
    )
    picked, _, inspected = done.stdout.partition(b"inspect\0")
    assert picked.decode().rstrip("\n") == f'{volume} [1] "other"'
    asked = [lookup(image) for image in images if lookup(image)]
    assert inspected.decode().split("\0")[1:-1] == ["f" * 64, *asked]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
@relaxed
@given(data=st.data())
def test_answers_with_damaged_bytes(folder: Path, data: st.DataObject) -> None:
    captured = json.loads((folder / "sections.json").read_text())
    sections = {name: bytearray(body.encode()) for name, body in captured["sections"].items()}
    for _ in range(data.draw(st.integers(1, 4))):
        body = sections[data.draw(st.sampled_from(sorted(sections)))]
        start = data.draw(st.integers(0, len(body)))
        stop = data.draw(st.integers(start, min(len(body), start + 20)))
        body[start:stop] = data.draw(
            st.binary(max_size=8) | st.sampled_from((b"\n", b'"', b"[", b"]", b"null", b"\xff"))
        )
    parse_or_refuse(folder, {name: bytes(body) for name, body in sections.items()}, captured["clock"])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
@relaxed
@given(data=st.data())
def test_answers_with_exchanged_values(folder: Path, data: st.DataObject) -> None:
    captured = json.loads((folder / "sections.json").read_text())
    sections = dict(captured["sections"])
    name = data.draw(st.sampled_from([name for name in ("inspect", "networks", "volumes") if sections[name].strip()]))
    lines = sections[name].split("\n")
    number = data.draw(st.sampled_from([index for index, line in enumerate(lines) if "[" in line or "{" in line]))
    begin = min(found for found in (lines[number].find("["), lines[number].find("{")) if found >= 0)
    value, length = json.JSONDecoder().raw_decode(lines[number][begin:])
    changed = json.dumps(exchange(value, data))
    lines[number] = lines[number][:begin] + changed + lines[number][begin + length :]
    sections[name] = "\n".join(lines)
    parse_or_refuse(
        folder, {key: body.encode("utf-8", "surrogatepass") for key, body in sections.items()}, captured["clock"]
    )


def exchange(value: Any, data: st.DataObject) -> Any:
    """The value with one thing inside it exchanged for another."""
    if isinstance(value, list) and value and data.draw(st.booleans()):
        index = data.draw(st.integers(0, len(value) - 1))
        return [*value[:index], exchange(value[index], data), *value[index + 1 :]]
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: exchange(value[key], data)}
    return data.draw(json_values)


def parse_or_refuse(folder: Path, sections: dict[str, bytes], clock: float) -> None:
    dialect = by_name(folder.parent.name.partition("-")[0])
    try:
        state = dialect.parse(sections, clock)
    except ValueError:
        return
    assert isinstance(state, RuntimeState)
    for box in state.containers:
        assert len(box.id) == 64
        assert not box.name.startswith("-")
    repr(state).encode()
