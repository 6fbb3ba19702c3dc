"""What nodes print, cut down to what people read."""

import pytest

from shipyard.base.text import last_words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        (" \n\n", ""),
        ("one\n", "one"),
        ("one\ntwo\n", "one / two"),
        ("no\nno\nno\nwhy\nno\nno\n", "why / no"),
        ("a\x1b[31mb\nc\td\n", "a[31mb / c d"),
    ],
)
def test_last_words_are_said_once(text: str, said: str) -> None:
    assert last_words(text) == said


def test_last_words_are_the_last_that_fit() -> None:
    assert last_words("first\nsecond\nthird\n", limit=15) == "second / third"
    assert last_words("first\n" + "x" * 100, limit=11) == "xxxxx…xxxxx"


@pytest.mark.parametrize("limit", [20, 50, 240])
def test_last_words_keep_to_their_limit(limit: int) -> None:
    text = "\n".join(f"{number} " + "word " * number for number in range(30))
    assert 0 < len(last_words(text, limit)) <= limit
