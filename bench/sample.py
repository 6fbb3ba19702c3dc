"""Numbers of repeated runs, and the rows of the table of results."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `values`: one of each repetition. `reference`: what a ratio is taken to, and its value.

    `target`: the most that `ratio` may be (or the least, with `least` or `more`), or of `value` where there is no
    reference. `least` is for times, of which the reference is the larger; `more` is for what should be large itself.
    """

    what: str
    values: tuple[float, ...]
    unit: str = "s"
    reference: tuple[str, float] | None = None
    target: float | None = None
    least: bool = False
    more: bool = False

    @property
    def value(self) -> float:
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """Of this to the reference; with `least`, how many times the reference is larger."""
        if self.reference is None:
            return None
        return self.reference[1] / self.value if self.least else self.value / self.reference[1]

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        judged = self.value if self.ratio is None else self.ratio
        return judged >= self.target if self.least or self.more else judged <= self.target

    def cells(self) -> tuple[str, ...]:
        """As text: what, median, lowest to highest, number of runs, reference, ratio, target, whether it is met."""
        sign = "≥" if self.least or self.more else "≤"
        unit = "x" if self.reference is not None else f" {self.unit}"
        return (
            self.what,
            f"{figure(self.value)} {self.unit}",
            f"{figure(min(self.values))} to {figure(max(self.values))}" if len(self.values) > 1 else "",
            str(len(self.values)),
            f"{self.reference[0]}: {figure(self.reference[1])} {self.unit}" if self.reference is not None else "",
            f"{self.ratio:.2f}" if self.ratio is not None else "",
            f"{sign} {self.target:g}{unit}" if self.target is not None else "",
            {True: "yes", False: "**no**", None: ""}[self.met],
        )


HEAD = ("what", "median", "lowest to highest", "runs", "reference", "ratio", "target", "met")


def table(rows: Iterable[Row]) -> str:
    """In Markdown."""
    lines = [HEAD, ("---",) * len(HEAD), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def figure(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def line_through(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Start and slope of the straight line nearest to the points."""
    slope, start = statistics.linear_regression([x for x, _ in points], [y for _, y in points])
    return start, slope
