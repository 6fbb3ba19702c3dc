from __future__ import annotations

from datetime import datetime

import pytest

from shipyard.runtime.times import unix


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-01T00:00:00Z",
        "2026-11-22T18:43:44.335439244Z",
        "2024-02-29T23:59:59.1+05:45",
        "2000-03-01T00:00:00-11:00",
        "2100-12-31T12:00:00.000001Z",
        "1999-01-31T01:02:03Z",
    ],
)
def test_as_the_standard_library_has_it(text: str) -> None:
    assert unix(text) == pytest.approx(datetime.fromisoformat(text).timestamp(), abs=1e-6)


@pytest.mark.parametrize("never", ["0001-01-01T00:00:00Z", ""])
def test_never(never: str) -> None:
    assert unix(never) is None


@pytest.mark.parametrize(
    "bad", ["now", "2026-11-22", "2026-11-22T18:43:44", "2026-13-01T00:00:00Z", "٢٠٢٦-11-22T18:43:44Z", "x" * 10_000]
)
def test_anything_else_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        unix(bad)
