"""Placements by service are the same placements as in one plain dict."""

from __future__ import annotations

import random

from shipyard.model.memory import Placement, SlotKey
from shipyard.planner.placements import Placements


def test_it_answers_as_a_dict_would_whatever_was_put_in_and_taken_out() -> None:
    dice = random.Random(7)
    plain: dict[SlotKey, Placement] = {}
    indexed = Placements()
    for turn in range(500):
        placement = Placement(dice.choice("ab"), dice.choice(["db", "web"]), dice.randrange(1, 9), "n", turn, 1)
        if dice.random() < 0.4 and placement.key in plain:
            del plain[placement.key], indexed[placement.key]
        else:
            plain[placement.key] = indexed[placement.key] = placement
        assert dict(indexed) == plain
        assert len(indexed) == len(plain)
        assert (placement.key in indexed) == (placement.key in plain)
        assert indexed.ordered() == tuple(plain[key] for key in sorted(plain))
        assert indexed.services() == sorted({key[:2] for key in plain})
        of_web = {key[2]: plain[key] for key in sorted(plain) if key[:2] == ("a", "web")}
        assert list(indexed.of_service("a", "web").items()) == list(of_web.items())


def test_what_is_not_there_is_not_found() -> None:
    indexed = Placements([Placement("s", "web", 1, "n", 1, 1)])
    assert indexed.get(("s", "web", 2)) is None
    assert indexed.get(("s", "api", 1)) is None
    assert indexed.pop(("s", "web", 1), None) is not None
    assert not indexed
    assert not indexed.services()
