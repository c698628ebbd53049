"""Score distributions of every assessor and round, kept and not kept apart."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from itertools import pairwise
from typing import TypedDict

from isheep.assess.base import Scale
from isheep.data.rows import Row
from isheep.data.values import counts_in_bins

BINS = 18


class Bar(TypedDict):
    """How many rows of a round, kept or not, have a score from `low` to `high`."""

    round: int
    low: float
    high: float
    kept: bool
    rows: int


class Scores:
    """The scores of all rows, eight bytes each, by assessor, round and fate.

    Parameters
    ----------
    assessors
        Name of a score's column: its scale, or None where it has none.
    """

    def __init__(self, assessors: dict[str, Scale | None]) -> None:
        self.assessors = assessors
        self._values: dict[tuple[str, int, bool], array[float]] = defaultdict(lambda: array("d"))

    def add(self, i: int, row: Row, kept: bool) -> None:
        """Add a row's scores; a row without one, or with one that is no number, does not count."""
        for name in self.assessors:
            value = row.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                self._values[name, i, kept].append(value)

    def histogram(self, name: str) -> list[Bar]:
        """Return bars of an assessor's scores: round, low and high end of the bin, kept or not, rows."""
        everything = [values for key, values in self._values.items() if key[0] == name and values]
        if not everything:
            return []
        scale = self.assessors[name] or Scale(min(map(min, everything)), max(map(max, everything)))
        low, high = scale.lowest, scale.highest
        width = (high - low) / BINS or 1.0
        edges = [low + width * place for place in range(BINS + 1)]
        bars: list[Bar] = []
        for (assessor, i, kept), values in sorted(self._values.items()):
            if assessor == name:
                bars += [
                    {"round": i, "low": low, "high": high, "kept": kept, "rows": rows}
                    for (low, high), rows in zip(pairwise(edges), counts_in_bins(values, edges), strict=True)
                    if rows
                ]
        return bars
