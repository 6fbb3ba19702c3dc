"""How many examples a test takes: by the profile of Hypothesis, of which tests/conftest.py tells."""

from __future__ import annotations

from hypothesis import settings


def always_the_same() -> bool:
    """Whether this run takes the examples that every run takes, and not others, and more, as `--all` asks for."""
    return settings.default is None or settings.default.derandomize


def examples(usual: int, long: int) -> int:
    """`usual` of them in every run, `long` where others than usual are asked for."""
    return usual if always_the_same() else long
