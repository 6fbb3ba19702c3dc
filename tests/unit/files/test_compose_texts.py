"""The small languages inside Compose's values: sizes, durations, commands, environment files, numbers as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from shipyard.files.compose import dotenv, units, words
from shipyard.files.compose.substitution import substitute

DOTENV = Path(__file__).parents[2] / "cases" / "playbooks" / "dotenv.yml"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("64", 64),
        ("64b", 64),
        ("64k", 65536),
        ("64KiB", 65536),
        ("64 KB", 65536),
        ("1.5g", 1610612736),
        (".5m", 524288),
        ("5.", 5),
        ("1t", 1 << 40),
        ("2p", 1 << 51),
        ("00064", 64),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert units.size(text) == expected


@pytest.mark.parametrize("text", ["", "64x", "64 megs", "1,5m", "1.5.2k", "64  k", "-1", " 64m", "0x10"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="a size is a number"):
        units.size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("0s", 0),
        ("10s", 10),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("1.5m30s500ms", 120.5),
        ("100ms", 0.1),
        ("5us", 5e-6),
        ("5µs", 5e-6),
        ("3ns", 3e-9),
        ("1d12h", 129600),
        ("2w", 1209600),
        (".5s", 0.5),
        ("1.s", 1),
    ],
)
def test_durations(text: str, expected: float) -> None:
    assert units.duration(text) == expected


@pytest.mark.parametrize("text", ["", "10", "s", "1 s", "1s ", "1h1", "1M", "1y", "-1s", "ten seconds"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="a duration is a number with its unit"):
        units.duration(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        (8080, "8080"),
        (12345678901234567890, "12345678901234567890"),
        (1.1, "1.1"),
        (-1.5, "-1.5"),
        (21.0, "21"),
        (100000.0, "100000"),
        (999999.0, "999999"),
        (1000000.0, "1e+06"),
        (123456.5, "123456.5"),
        (1234567.5, "1.2345675e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (1e21, "1e+21"),
        (0.0, "0"),
        (-0.0, "-0"),
        (float("inf"), "+Inf"),
        (None, ""),
    ],
)
def test_numbers_become_text_as_compose_writes_them(value: Any, expected: str) -> None:
    assert units.number_text(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("a  b\tc\nd ", ("a", "b", "c", "d")),
        ("a 'b c' \"d e\"", ("a", "b c", "d e")),
        ("a '' \"\"", ("a", "", "")),
        ("a'b'\"c\"", ("abc",)),
        (r"a\ b \'", ("a b", "'")),
        (r'"\$HOME \"x\"" \a', ('$HOME "x"', "a")),
        (r"'\$'", (r"\$",)),
        (r'"a\nb" c\td', ("a\nb", "c\td")),
        ("# a#b", ("#", "a#b")),
        ("a `b c` $(d e) f", ("a", "`b c`", "$(d e)", "f")),
        ("'a;b|c' \"&\" \\<", ("a;b|c", "&", "<")),
        ("$HOME ~ *", ("$HOME", "~", "*")),
    ],
)
def test_a_command_is_split_as_compose_splits_it(text: str, expected: tuple[str, ...]) -> None:
    assert words.split(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a; b", "holds ; outside of quotes"),
        ("a && b", "holds & outside"),
        ("a|b", "holds | outside"),
        ("a>b", "holds > outside"),
        ("a <b", "holds < outside"),
        ("f()", r"holds \( outside"),
        ("a 'b", "holds a ' that is never closed"),
        ('a "b', 'holds a " that is never closed'),
        ("a `b", "holds a ` that is never closed"),
        ("a $(b", r"holds a \$\( that is never closed"),
        ("a\\", "ends with a backslash"),
    ],
)
def test_a_command_that_needs_a_shell(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        words.split(text)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=repr(case["text"])) for case in yaml.safe_load(DOTENV.read_text())]
)
def test_environment_files_are_read_as_compose_reads_them(case: dict[str, Any]) -> None:
    found: dict[str, str] = {}
    text = case["text"].removeprefix("\ufeff")
    if "error" in case:
        with pytest.raises(ValueError, match=r"^line [0-9]+: "):
            dotenv.parse(text, found, {"HOME": "/root"}.get)
    else:
        dotenv.parse(text, found, {"HOME": "/root"}.get)
        assert found == case["gives"]


def test_raw_environment_files_are_taken_as_they_are() -> None:
    found: dict[str, str] = {}
    dotenv.parse_raw('A=$HOME\nB="q" # c\nC\n\n#x\nE=\nHOME\nF= x y \nG=a=b\r\n', found, {"HOME": "/root"}.get)
    assert found == {"A": "$HOME", "B": '"q" # c', "E": "", "HOME": "/root", "F": " x y ", "G": "a=b"}


def test_a_raw_name_with_a_space() -> None:
    with pytest.raises(ValueError, match="line 2: 'D ' is no name of a variable"):
        dotenv.parse_raw("A=1\nD = 1\n", {}, {}.get)


def test_substitution_does_not_go_on_for_ever() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        substitute("${A:-" * 50 + "}" * 50, {}.get)
