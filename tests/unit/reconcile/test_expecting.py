"""What is known to be on a node after a wave, by its own answers."""

from __future__ import annotations

import pytest

from shipyard.model.container import ContainerSpec
from shipyard.model.plan import (
    Action,
    CreateContainer,
    CreateNetwork,
    LoadRules,
    Outcome,
    RemoveContainer,
    Status,
    Step,
    StopContainer,
)
from shipyard.model.spec import NetworkSpec
from shipyard.reconcile.expecting import after

OLD, OTHER, NEW = "a" * 64, "b" * 64, "c" * 64
CREATE = CreateContainer("s-web-1-aaaaaa", ContainerSpec("app:1"), ())
REMOVE = RemoveContainer(OLD, "s-web-1-bbbbbb")


def done(step: Step, output: str = "", *, node: str = "n1", status: Status = Status.DONE) -> Outcome:
    return Outcome(Action(1, node, "s/web.1", "Why", "", step), status, output=output)


@pytest.mark.parametrize(
    ("outcomes", "there"),
    [
        ((done(CREATE, NEW),), (OLD, OTHER, NEW)),
        ((done(REMOVE), done(CREATE, NEW)), (OTHER, NEW)),
        (
            (
                done(StopContainer(OLD, "s-web-1-bbbbbb")),
                done(LoadRules("", "")),
            ),
            (OLD, OTHER),
        ),
        ((done(CreateNetwork(NetworkSpec("s_default", "default"), ())), done(CREATE, NEW)), (OLD, OTHER, NEW)),
    ],
)
def test_containers_that_were_made_and_removed_are_known(outcomes: tuple[Outcome, ...], there: tuple[str, ...]) -> None:
    found = {"n1": (OLD, OTHER), "n2": ()}
    assert after(found, outcomes) == frozenset()
    assert found == {"n1": there, "n2": ()}


@pytest.mark.parametrize(
    "outcome",
    [
        done(CREATE, "Unable to find image"),
        done(CREATE, status=Status.FAILED),
        done(REMOVE, status=Status.UNKNOWN),
        done(CREATE, NEW, node="n3"),
    ],
    ids=["no id", "failed", "not known how it ended", "a node of which nothing is known"],
)
def test_whatever_else_may_be_there_is_looked_for(outcome: Outcome) -> None:
    found = {"n1": (OLD,), "n2": (OTHER,)}
    assert after(found, (done(CREATE, NEW, node="n2"), outcome)) == {outcome.action.node}
    assert found == {"n1": (OLD,), "n2": (OTHER, NEW)}
