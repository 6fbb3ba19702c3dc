"""Whatever is wished for and whatever happens, in any order: every promise holds after every pass, and it rests."""

from __future__ import annotations

import random
import zlib

import pytest

from tests import stories
from tests.examples import always_the_same, examples

EACH = 50
"""Stories in a part; `--all` tells ten times as many, and others each time."""
PARTS = [*range(4), *(pytest.param(part, marks=pytest.mark.thorough) for part in range(4, 40))]


@pytest.mark.parametrize("part", PARTS)
def test_every_promise_holds_in_every_story(part: int) -> None:
    first = zlib.crc32(b"stories") if always_the_same() else random.SystemRandom().randrange(1 << 40)
    for number in range(examples(EACH, 10 * EACH)):
        stories.run(first + part * 1_000_000 + number)


def test_what_came_back_crashing_counts_as_down_while_an_update_is_on_its_way() -> None:
    """A node falls silent, an update begins, and what runs on that node is restarted again and again as it returns."""
    told = [("apply", 838244708), ("silent", 292141289), ("edit", 600763197), ("loops", 23356947)]
    stories.Story().tell([stories.Event(*each) for each in told])


@pytest.mark.parametrize(
    "events",
    [
        # two of a replica run on a drained node, both deaf, as it is moved and another update begins
        [
            ("apply", 970963036),
            ("edit", 552528109),
            ("deaf", 1006003364),
            ("ended badly", 404972223),
            ("rebooted", 107392917),
            ("drained", 786481376),
            ("apply", 432866175),
        ],
        # a node is lost in the middle of an update, and its replicas are made anew
        [
            ("apply", 598304519),
            ("edit", 555883252),
            ("answers", 323950479),
            ("silent", 615135261),
            ("long", 1031959996),
        ],
        # a replica whose turn has not come would be made as it was, with a port that another service has now
        [("apply", 406114359), ("apply", 303734190)],
        # of two of a replica the one that goes on has lost its network, and the other is the one that serves
        [
            ("apply", 369830433),
            ("activated", 283379630),
            ("removed", 679596013),
            ("rebooted", 463633445),
            ("edit", 293870553),
        ],
        # what is started again after a back-off has another container, of a node that was lost and came back
        [
            ("apply", 646606093),
            ("silent", 841155668),
            ("long", 1007408503),
            ("edit", 613793703),
            ("ended well", 481585741),
            ("time", 171963525),
            ("loops", 654203547),
        ],
        # a rollback that is stop-first finds the newest container of a replica broken, and an older one that serves
        [
            ("apply", 959004548),
            ("drained", 258050203),
            ("apply", 340360016),
            ("load", 186418368),
            ("removed", 150539846),
            ("edit", 841877442),
            ("image", 210769190),
        ],
        # an update that reserves more finds a replica on a silent node
        [("apply", 799394100), ("edit", 697544532), ("silent", 883760048), ("apply", 864148859)],
        # who is evicted had a port that another replica there has a claim to, since an update
        [("apply", 869360469), ("passes", 3), ("apply", 601318092)],
        [("apply", 949374852), ("drained", 708350650), ("apply", 167176411)],
        # a replica moves off a drained node that is opened again before it has gone there
        [
            ("apply", 967006379),
            ("drained", 801296163),
            ("image", 48463605),
            ("deaf", 408186357),
            ("time", 547694036),
            ("drained", 55560478),
        ],
        # two of a replica run on a drained node as it falls silent, and a third would be made where it moves to
        [
            ("apply", 619533527),
            ("passes", 3),
            ("canary", 469635396),
            ("drained", 103209452),
            ("silent", 154888136),
            ("load", 190516484),
        ],
        # one that is made as before moves off a tainted node, and belongs there by the volume it has in that revision
        [
            ("apply", 1063177605),
            ("canary", 357842242),
            ("silent", 593514442),
            ("tainted", 1018681528),
            ("apply", 939088465),
        ],
        # the newest of a replica fails, the one before it serves on, and others are down already
        [("apply", 250284988), ("edit", 790922946), ("canary", 165775565), ("ill", 534317296)],
        # what leaves a drained node in the midst of an update, made as before, would want a port that another has there
        [("apply", 640525947), ("drained soon", 571285280), ("rebooted", 466965639), ("apply", 301493538)],
    ],
)
def test_stories_that_once_broke_a_promise(events: list[tuple[str, int]]) -> None:
    stories.Story().tell([stories.Event(*each) for each in events])
