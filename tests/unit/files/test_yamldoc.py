"""YAML in two dialects: what plain words mean, where everything stands, and how far a file may go."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from shipyard.base.errors import FileError
from shipyard.files.yamldoc import Dialect, Marks, Tags, dotted, load_all, load_one

BOTH: tuple[Dialect, ...] = ("1.1", "1.2")


def value(word: str, dialect: Dialect) -> Any:
    return load_one(f"a: {word}", "f.yml", dialect).data["a"]


@pytest.mark.parametrize(
    ("word", "ansible", "compose"),
    [
        ("on", True, "on"),
        ("No", False, "No"),
        ("true", True, True),
        ("22:22", 1342, "22:22"),
        ("1:30", 90, "1:30"),
        ("010", 8, 8),
        ("089", "089", 89.0),
        ("0o10", "0o10", 8),
        ("0b11", 3, 3),
        ("0x1F", 31, 31),
        ("1_000", 1000, 1000),
        ("+12", 12, 12),
        ("1.10", 1.1, 1.1),
        ("1e3", "1e3", 1000.0),
        ("2026-01-02", datetime.date(2026, 1, 2), "2026-01-02"),
        ("~", None, None),
        ("", None, None),
        ('"on"', "on", "on"),
        ("!!str 5", "5", "5"),
        ("12345678901234567890123", 12345678901234567890123, 1.2345678901234568e22),
    ],
)
def test_plain_words(word: str, ansible: Any, compose: Any) -> None:
    assert value(word, "1.1") == ansible and type(value(word, "1.1")) is type(ansible)
    assert value(word, "1.2") == compose
    assert isinstance(value(word, "1.2"), type(compose))


@pytest.mark.parametrize("word", ["0755", "1.10", "1e3", "1_000", "+5"])
def test_numbers_remember_how_they_were_written(word: str) -> None:
    assert value(word, "1.2").written == word


@pytest.mark.parametrize("word", ["755", "1.5", "-3"])
def test_numbers_that_are_written_as_they_are_need_not(word: str) -> None:
    assert not hasattr(value(word, "1.2"), "written")


def test_both_dialects_in_one_file() -> None:
    text = "vars: {a: off, b: [1:30, !!str 5], c: 'off'}\nbody: {a: off, b: [1:30]}\n"
    data = load_one(text, "f.yml", "1.2", other=lambda path: path == ("vars",)).data
    assert data == {"vars": {"a": False, "b": [90, "5"], "c": "off"}, "body": {"a": "off", "b": ["1:30"]}}


def test_places() -> None:
    marks = load_one("a:\n  - b: 1\n    c: 2\n", "f.yml", "1.2").marks
    assert (marks.at(("a", 0, "c")).line, marks.at(("a", 0, "c")).column) == (3, 5)
    assert marks.at(("a", 0)).line == 2
    assert marks.at(("a", 0, "c", "deeper")) == marks.at(("a", 0, "c"))
    assert Marks("g.yml").at(("x",)).line == 1


def test_dotted() -> None:
    assert dotted(("services", "web", "ports", 0)) == "services.web.ports[0]"


def test_merge_keys_lose_against_own_ones_wherever_they_stand() -> None:
    document = load_one("b: &b {x: 1, y: 2}\nm: {y: 3, <<: *b}\nn: {<<: [*b, {x: 9, z: 8}]}\n", "f.yml", "1.2")
    assert document.data["m"] == {"x": 1, "y": 3}
    assert document.data["n"] == {"x": 1, "y": 2, "z": 8}
    assert document.marks.at(("m", "y")).line == 2


def test_several_documents() -> None:
    assert [document.data for document in load_all("a\n---\nb\n", "f.yml", "1.2")] == ["a", "b"]
    assert load_one("", "f.yml", "1.2").data is None
    with pytest.raises(FileError, match="several documents"):
        load_one("a\n---\nb\n", "f.yml", "1.2")


def test_application_tags() -> None:
    tags: Tags = {"!placed": lambda made, mark: [*made, mark.line, mark.column]}
    assert load_one("# c\na: !placed [7]", "f.yml", "1.2", tags).data == {"a": [7, 2, 4]}
    with pytest.raises(FileError, match="the tag !other is not known; known here: !placed"):
        load_one("a: !other 1", "f.yml", "1.2", tags)


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2\n", r"f.yml:2:1: a: is there twice; the first is on line 1"),
        ("a: [", r"f.yml:2:1: can't be read as YAML"),
        ("a: \x00", "can't be read as YAML"),
        ("{[a]: 1}", "has a key that is a list or a mapping"),
        ("a: !!python/object/apply:os.system [id]", "is not known"),
        ("a: !!python/name:os.system", "is not known"),
        ("a: !!int x", "'x' can't be read as int"),
        ("a: !!bool x", "'x' can't be read as bool"),
        ("a: !!timestamp x", "'x' can't be read as timestamp"),
        ("a: " + "9" * 5000, "can't be read as a number of so many digits"),
        ("<<: 5", "<< takes a mapping"),
        ("a: *nope", "undefined alias"),
        ("&a [*a]", "within itself"),
        ("[" * 70 + "]" * 70, "nested deeper than 64 levels"),
        ("x" * 5_000_000, "is larger than 4 MiB"),
    ],
)
def test_what_can_not_be_read(text: str, says: str, dialect: Dialect) -> None:
    with pytest.raises(FileError, match=says):
        load_one(text, "f.yml", dialect)


def test_bytes_that_are_no_utf_8() -> None:
    with pytest.raises(FileError, match="can't be read as YAML"):
        load_one(b"a: \xff\xfe\xfa", "f.yml", "1.2")


def test_messages_hold_no_terminal_commands() -> None:
    with pytest.raises(FileError) as caught:
        load_one('"\\e[31m\\u202Ea": 1\n"\\e[31m\\u202Ea": 2\n', "f.yml", "1.2")
    assert "\x1b" not in str(caught.value) and "\u202e" not in str(caught.value)
