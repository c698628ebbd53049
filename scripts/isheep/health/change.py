"""How a round's data differs from d_0's, like compared with like: diversity on equally many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from isheep.data.rows import Row
from isheep.health.diversity import FIELDS, distinct, vendi
from isheep.health.metric import Metric, metric

if TYPE_CHECKING:
    from isheep.health.readings import Readings


def of_words(now: int | None, first: int | None, n: int) -> dict[str, Metric]:
    """Return the median length of answers over that in d_0."""
    return {"output_words": _ratio(now, first, n)}


def of_diversity(now: Sequence[Row], first: Sequence[Row]) -> dict[str, Metric]:
    """Return distinct-2 over that of d_0, on equally many rows of both samples."""
    n = min(len(now), len(first))
    return {
        f"{field}_distinct_2": _ratio(*(distinct([row[field] for row in rows[:n]], 2) for rows in (now, first)), n)
        for field in FIELDS
    }


def of_readings(now: Readings, first: Readings) -> dict[str, Metric]:
    """Return perplexity under the base model over that of d_0, and the Vendi scores on equally many rows of both."""
    n = min(len(now), len(first))
    found = {"perplexity": _ratio(now.perplexity, first.perplexity, len(now.read))}
    for field in FIELDS:
        found[f"{field}_vendi"] = _ratio(*(vendi(readings.vectors[field][:n]) for readings in (now, first)), n)
    return found


def _ratio(now: float | None, first: float | None, n: int) -> Metric:
    return metric(now / first if now is not None and first else None, n, "times d_0")
