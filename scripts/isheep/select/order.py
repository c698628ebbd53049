"""The order in which selected rows train, and what that order does to their length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from isheep.data.rows import Row
from isheep.documents.rounds import OrderProfile
from isheep.health.scores import spearman
from isheep.serving.chat import transcript

PARTS = 10


def ordered(rows: Sequence[Row], by: str, descending: bool) -> list[Row]:
    """Return the rows sorted by a column; of equal values the earlier row stays first."""
    return sorted(rows, key=lambda row: row[by], reverse=descending)


def profile(rows: Sequence[Row], by: str, descending: bool) -> OrderProfile:
    """Return how value and length of rows change along their order, so that one is not taken for the other.

    Parameters
    ----------
    rows
        In the order in which they train.
    by, descending
        What they are sorted by; highest first.

    Returns
    -------
    OrderProfile
        In ten parts of the order, as equal as whole rows allow: rows, mean value, mean words of prompt and output; and
        Spearman's rho of the value with the output's words.
    """
    words = [len(row["output"].split()) for row in rows]
    edges = [round(part * len(rows) / PARTS) for part in range(PARTS + 1)]
    parts = [range(first, last) for first, last in pairwise(edges) if last > first]
    return {
        "by": by,
        "descending": descending,
        "parts": [
            {
                "rows": len(part),
                "value": _mean([rows[index][by] for index in part]),
                "prompt_words": _mean([len(transcript(rows[index]).split()) for index in part]),
                "output_words": _mean([words[index] for index in part]),
            }
            for part in parts
        ],
        "correlation_with_length": spearman([row[by] for row in rows], words),
    }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
