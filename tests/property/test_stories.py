"""Whatever is wished for and whatever happens, in any order: every promise holds after every pass, and it rests."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import settings

from tests import stories

EACH = 50
"""Stories in a part; `--all` tells a hundred times as many, and others each time."""
PARTS = [*range(4), *(pytest.param(part, marks=pytest.mark.thorough) for part in range(4, 40))]


@pytest.mark.parametrize("part", PARTS)
def test_every_promise_holds_in_every_story(part: int) -> None:
    always = settings.default is None or settings.default.derandomize
    first = zlib.crc32(b"stories") if always else random.SystemRandom().randrange(1 << 40)
    for number in range(EACH if always else 100 * EACH):
        stories.run(first + part * 1_000_000 + number)


def test_what_came_back_crashing_counts_as_down_while_an_update_is_on_its_way() -> None:
    """A node falls silent, an update begins, and what runs on that node is restarted again and again as it returns."""
    told = [("apply", 838244708), ("silent", 292141289), ("edit", 600763197), ("loops", 23356947)]
    stories.Story().tell([stories.Event(*each) for each in told])
