"""Plain values: numbers as they are written, settings compared."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any


def significant(value: float) -> float:
    """Return a score rounded to six significant digits: what lies beyond is float noise."""
    return float(f"{value:.6g}")


def counts_in_bins(values: Iterable[float], edges: Sequence[float]) -> list[int]:
    """Return how many values lie in each bin; a value on an edge counts above it, those outside in the outer bins."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[min(max(bisect_right(edges, value) - 1, 0), len(counts) - 1)] += 1
    return counts


def differences(old: Any, new: Any, place: str = "") -> Any:
    """Yield (place, old, new) for every value in which two settings differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key), new.get(key), f"{place}.{key}" if place else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, f"{place}[{index}]")
    elif old != new and not _same_file_elsewhere(old, new):
        yield place, old, new


def _same_file_elsewhere(old: Any, new: Any) -> bool:
    """Whether two names are of one file outside the run's folder whose content changed: that has its own finding."""
    names = [value.split("/") for value in (old, new) if isinstance(value, str) and value.startswith("outside/")]
    return len(names) == 2 and names[0][-1] == names[1][-1]
