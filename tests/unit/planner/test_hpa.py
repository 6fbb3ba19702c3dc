"""The autoscaler in cases of Kubernetes' own: what replicas use of what they reserved, and what that asks for."""

from __future__ import annotations

import pytest

from shipyard.planner.hpa import Proposal, Sample, bounded, combined, propose

UNKNOWN = None


def samples(*uses: float | None, unready: tuple[int, ...] = (), reserved: float = 1000.0) -> list[Sample]:
    return [Sample(use, reserved, ready=index not in unready) for index, use in enumerate(uses)]


CASES = [
    ("up by the ratio", 3, samples(300, 500, 700), 0.3, 5),
    ("one that starts is counted as using nothing", 3, samples(300, 500, 700, unready=(0,)), 0.3, 4),
    ("no change where those that start will do", 3, samples(400, 500, 700, unready=(1, 2)), 0.3, 3),
    ("down by the ratio", 5, samples(100, 300, 500, 250, 250), 0.5, 3),
    ("down without those that start", 5, samples(100, 300, 500, 250, 250, unready=(3, 4)), 0.5, 2),
    ("within the tolerance, above", 3, samples(1010, 1030, 1020), 1.0, 3),
    ("just within the tolerance, above", 10, samples(*[770] * 10), 0.7, 10),
    ("just beyond the tolerance", 10, samples(*[771] * 10), 0.7, 12),
    ("just within the tolerance, below", 10, samples(*[630] * 10), 0.7, 10),
    ("just beyond the tolerance, below", 20, samples(*[620] * 20), 0.7, 18),
    ("the unknown use all when some would go", 4, samples(400, 95, UNKNOWN, UNKNOWN), 1.0, 3),
    ("an unknown one does not tip the even", 2, samples(1000, UNKNOWN), 1.0, 2),
    ("an unknown one uses nothing when some would come", 2, samples(1900, UNKNOWN), 1.0, 2),
    ("an unknown one keeps what would go", 2, samples(600, UNKNOWN), 1.0, 2),
    ("unknown and starting, no turning round", 3, samples(100, 450, UNKNOWN, unready=(0,)), 0.5, 3),
    ("unknown and starting, up", 3, samples(100, 2000, UNKNOWN, unready=(0,)), 0.5, 4),
    ("unknown and starting, down", 4, samples(100, 100, 100, UNKNOWN, unready=(0,)), 0.5, 3),
    ("idle", 4, samples(0, 0, 0, 0), 0.5, 0),
]


@pytest.mark.parametrize(
    ("current", "found", "target", "wanted"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_what_a_use_asks_for(current: int, found: list[Sample], target: float, wanted: int) -> None:
    proposal = propose(current, found, target)
    assert proposal is not None
    assert proposal.replicas == wanted


def test_the_share_is_of_those_that_are_known_and_ready() -> None:
    assert propose(3, samples(300, 500, 700, unready=(0,)), 0.3) == Proposal(4, 0.6)
    assert propose(2, [Sample(100, 200), Sample(300, 600)], 0.5) == Proposal(2, 0.5)


@pytest.mark.parametrize("found", [[], samples(UNKNOWN, UNKNOWN), samples(500, unready=(0,)), samples(1, reserved=0)])
def test_of_nothing_nothing_is_known(found: list[Sample]) -> None:
    assert propose(2, found, 0.5) is None


def test_of_several_metrics_the_largest_wins_and_an_unknown_one_keeps() -> None:
    two, five = Proposal(2, 0.1), Proposal(5, 0.9)
    assert combined(3, [two, five]) == 5
    assert combined(3, [two, None]) == 3
    assert combined(3, [five, None]) == 5
    assert combined(3, [None, None]) is None


@pytest.mark.parametrize(
    ("current", "wanted", "within"),
    [(3, 4, 4), (3, 100, 7), (10, 100, 20), (10, 0, 1), (1, 3, 3), (20, 100, 30), (2, 1, 1)],
)
def test_the_bounds(current: int, wanted: int, within: int) -> None:
    assert bounded(current, wanted, 1, 30) == within
