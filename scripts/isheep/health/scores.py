"""What the assessors' scores look like: their histogram, how many are the best possible, whether they follow length."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from isheep.assess.base import Scale
from isheep.data.rows import Row
from isheep.data.values import counts_in_bins
from isheep.documents.rounds import ColumnScores
from isheep.health.quantity import quantity, share

BINS = 10


def scores(rows: Iterable[Row], columns: Mapping[str, Scale | None]) -> dict[str, ColumnScores]:
    """Return histogram, entropy, share at the maximum and rank correlation with length (words) of each column.

    Parameters
    ----------
    rows
        Assessed rows.
    columns
        Name: scale of the score. Scores on a scale are put into the bins of its ten steps, to which they round, and
        `share_at_maximum` is the last bin's; others have ten bins of one width between their extremes and no maximum.
    """
    values: dict[str, list[float]] = {column: [] for column in columns}
    words: list[int] = []
    for row in rows:
        words.append(len(row["output"].split()))
        for column in columns:
            values[column].append(row[column])
    return {column: _column(values[column], words, scale) for column, scale in columns.items()}


def _column(values: Sequence[float], words: Sequence[int], scale: Scale | None) -> ColumnScores:
    n = len(values)
    edges = scale.edges if scale else _edges(values)
    counts = counts_in_bins(values, edges)
    return {
        "histogram": {"edges": edges, "counts": counts},
        "entropy": quantity(entropy(counts), n, "bits"),
        "share_at_maximum": share(counts[-1], n) if scale else quantity(None, n, "share", "lower"),
        "correlation_with_length": quantity(spearman(values, words), n, "Spearman's rho"),
    }


def _edges(values: Sequence[float]) -> list[float]:
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    width = (high - low) / BINS or 0.1
    return [float(f"{low + width * step:.6g}") for step in range(BINS + 1)]


def entropy(counts: Sequence[int]) -> float | None:
    """Return the entropy of a histogram in bits: 0 when all is in one bin; None of nothing."""
    total = sum(counts)
    if not total:
        return None
    return abs(-math.fsum(count / total * math.log2(count / total) for count in counts if count))


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation, equal values sharing their mean rank; None when either is constant."""
    ranks = [_ranks(values) for values in (first, second)]
    means = [math.fsum(rank) / len(rank) if rank else 0.0 for rank in ranks]
    apart = [[rank - mean for rank in column] for column, mean in zip(ranks, means, strict=True)]
    spread = math.sqrt(math.prod(math.fsum(value * value for value in column) for column in apart))
    return math.fsum(a * b for a, b in zip(*apart, strict=True)) / spread if spread else None


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda place: values[place])
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + end - 1) / 2
        start = end
    return ranks
