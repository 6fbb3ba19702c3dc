"""What holds a secret says nothing of it, wherever it is printed."""

from __future__ import annotations

import json
import pickle
import traceback
from dataclasses import dataclass

import pytest

from shipyard.base.secret import SecretBytes

PLAIN = b"hunter2"


@dataclass(frozen=True)
class Holder:
    content: SecretBytes


def test_it_is_in_no_text_of_it() -> None:
    secret = SecretBytes(PLAIN)
    texts = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", repr(Holder(secret)), repr({"a": [secret]})]
    assert not [text for text in texts if "hunter2" in text]
    assert secret.reveal() == PLAIN


def test_it_is_in_no_traceback_that_shows_values() -> None:
    def fails(content: SecretBytes) -> None:
        raise ValueError(f"can't be used: {content}")

    with pytest.raises(ValueError, match="SecretBytes") as caught:
        fails(SecretBytes(PLAIN))
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "hunter2" not in "".join(shown.format())


def test_it_becomes_neither_json_nor_a_pickle() -> None:
    for writes in (json.dumps, pickle.dumps):
        with pytest.raises(TypeError):
            writes(SecretBytes(PLAIN))


def test_two_of_one_content_are_equal() -> None:
    assert SecretBytes(b"a") == SecretBytes(b"a")
    assert SecretBytes(b"a") != SecretBytes(b"b")
    assert SecretBytes(b"a") != b"a"
    assert len({SecretBytes(b"a"), SecretBytes(b"a")}) == 1
    assert not SecretBytes(b"")
