"""The guestbook's redis protocol and page."""

from __future__ import annotations

import io

import pytest

from shipyard.lab.guestbook import RedisError, ask, decode, encode, page


def test_a_command_is_counted_in_bytes() -> None:
    assert encode("LPUSH", "k", "grüß\r\n") == b"*3\r\n$5\r\nLPUSH\r\n$1\r\nk\r\n$8\r\ngr\xc3\xbc\xc3\x9f\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "means"),
    [
        (b"+OK\r\n", "OK"),
        (b":42\r\n", 42),
        (b"$5\r\na\r\nbc\r\n", "a\r\nbc"),
        (b"$0\r\n\r\n", ""),
        (b"$-1\r\n", None),
        (b"*2\r\n$1\r\na\r\n:1\r\n", ["a", 1]),
        (b"*0\r\n", []),
    ],
)
def test_replies(reply: bytes, means: object) -> None:
    assert decode(io.BytesIO(reply)) == means


@pytest.mark.parametrize(
    ("reply", "says"),
    [(b"-READONLY no\r\n", "READONLY no"), (b"", "closed"), (b"+OK", "closed"), (b"*1\r\n", "closed")],
)
def test_an_error_and_an_early_end_are_errors(reply: bytes, says: str) -> None:
    with pytest.raises(RedisError, match=says):
        decode(io.BytesIO(reply))


@pytest.mark.parametrize("server", ["nowhere", "host:x", ":0"])
def test_a_server_that_is_none_is_an_error_that_names_it(server: str) -> None:
    with pytest.raises(RedisError, match=server):
        ask(server, "PING")


def test_what_guests_write_is_text() -> None:
    shown = page(["<script>alert(1)</script>", "{title}"], "A & B", "web-1", "10.0.0.1:6380")
    assert "<li>&lt;script&gt;alert(1)&lt;/script&gt;</li>\n<li>{title}</li>" in shown
    assert "<h1>A &amp; B</h1>" in shown
    assert "served by web-1, read from 10.0.0.1:6380" in shown
