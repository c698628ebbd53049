"""Score distributions of every assessor and round, kept and not kept apart."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from typing import Any

from isheep.assess.base import Scale
from isheep.data.rows import Row

BINS = 18


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

    def rounds(self, name: str) -> list[int]:
        """Return the rounds that have scores of an assessor."""
        return sorted({i for one, i, _ in self._values if one == name})

    def count(self, name: str, i: int) -> int:
        """Return how many rows of a round an assessor scored."""
        return sum(len(self._values[name, i, kept]) for kept in (False, True) if (name, i, kept) in self._values)

    def histogram(self, name: str) -> list[dict[str, Any]]:
        """Return bars of an assessor's scores: round, low and high end of the bin, kept or not, rows."""
        everything = [values for key, values in self._values.items() if key[0] == name and values]
        if not everything:
            return []
        scale = self.assessors[name] or Scale(min(map(min, everything)), max(map(max, everything)))
        low, high = scale.lowest, scale.highest
        width = (high - low) / BINS or 1.0
        bars = []
        for (one, i, kept), values in sorted(self._values.items()):
            if one == name:
                counts = [0] * BINS
                for value in values:
                    counts[min(max(int((value - low) / width), 0), BINS - 1)] += 1
                bars += [
                    {"round": i, "low": low + width * b, "high": low + width * (b + 1), "kept": kept, "rows": rows}
                    for b, rows in enumerate(counts)
                    if rows
                ]
        return bars
