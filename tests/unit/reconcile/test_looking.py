"""What is known of a node stays known where it was not asked for again."""

from __future__ import annotations

from shipyard.base.record import replace
from shipyard.model.observed import Facts, ObservedNode, Silent
from shipyard.reconcile.looking import with_version

BEFORE = Facts(runtime="docker", user="ann", runtime_version="20.10", rootless=True)
NOW = ObservedNode("n1", Facts(runtime="docker", user="ann", uptime=7.0))


def test_a_version_that_was_not_asked_for_is_the_one_that_is_known() -> None:
    answer = with_version(NOW, BEFORE)
    assert answer == replace(NOW, facts=replace(BEFORE, uptime=7.0))


def test_what_the_node_says_itself_counts() -> None:
    fresh = replace(NOW, facts=replace(NOW.facts, runtime_version="27.1"))
    assert with_version(fresh, BEFORE) == fresh


def test_another_runtime_or_user_has_another_version() -> None:
    assert with_version(NOW, replace(BEFORE, runtime="podman")) == NOW
    assert with_version(NOW, replace(BEFORE, user="root")) == NOW
    assert with_version(NOW, None) == NOW
    silent = Silent("n1", connected=False, kind="Unreachable", message="no route")
    assert with_version(silent, BEFORE) == silent
