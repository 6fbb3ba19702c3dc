"""Whatever is wished for and whatever happens, in any order: every promise holds after every pass, and it rests."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import settings

from tests import stories

PARTS = 20
"""So that processes share the work, and a broken story is one of few."""


@pytest.mark.parametrize("part", range(PARTS))
def test_every_promise_holds_in_every_story(part: int) -> None:
    always = settings.default is None or settings.default.derandomize
    first = zlib.crc32(b"stories") if always else random.SystemRandom().randrange(1 << 40)
    for number in range(75 if always else 5000):
        stories.run(first + part * 1_000_000 + number)
