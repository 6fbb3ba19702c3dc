"""What nodes print, cut down to what people read."""

import pytest

from shipyard.base.text import last_words, without_password


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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ship@db/x", "postgresql://ship@db/x"),
        ("postgresql://ship:pw@db:5432/x", "postgresql://ship:***@db:5432/x"),
        ("postgresql://ship:p/w@x:y@db/x", "postgresql://ship:***@db/x"),
        (
            "postgresql://db/x?user=ship&password=pw&sslmode=require",
            "postgresql://db/x?user=ship&password=***&sslmode=require",
        ),
        ("postgresql://db/x?sslpassword=pw", "postgresql://db/x?sslpassword=***"),
        ("postgresql:/ship:pw@db/x", "postgresql:/ship:***@db/x"),
        ("postgresql:ship:pw@db/x", "postgresql:ship:***@db/x"),
        ("host=db password=pw dbname=x", "host=db password=*** dbname=x"),
        ("sqlite:////srv/state.db", "sqlite:////srv/state.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
