"""How a round's data differs from d_0's, like compared with like: diversity on equally many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from isheep.data.rows import Row
from isheep.documents.rounds import Quantity
from isheep.health.diversity import FIELDS, distinct, vendi
from isheep.health.quantity import quantity

if TYPE_CHECKING:
    from isheep.health.readings import Readings


def of_words(now: int | None, first: int | None, n: int) -> dict[str, Quantity]:
    """Return the median length of answers over that in d_0."""
    return {"output_words": _ratio(now, first, n)}


def of_diversity(now: Sequence[Row], first: Sequence[Row]) -> dict[str, Quantity]:
    """Return distinct-2 over that of d_0, on equally many rows of both samples."""
    n = min(len(now), len(first))
    return {
        f"{field}_distinct_2": _ratio(_distinct(now[:n], field), _distinct(first[:n], field), n) for field in FIELDS
    }


def of_readings(now: Readings, first: Readings) -> dict[str, Quantity]:
    """Return perplexity under the base model over that of d_0, and the Vendi scores on equally many rows of both."""
    n = min(len(now), len(first))
    ratios = {"perplexity": _ratio(now.perplexity, first.perplexity, len(now.read))}
    for field in FIELDS:
        ratios[f"{field}_vendi"] = _ratio(vendi(now.vectors[field][:n]), vendi(first.vectors[field][:n]), n)
    return ratios


def _distinct(rows: Sequence[Row], field: str) -> float | None:
    return distinct([row[field] for row in rows], 2)


def _ratio(now: float | None, first: float | None, n: int) -> Quantity:
    return quantity(now / first if now is not None and first else None, n, "times d_0")
