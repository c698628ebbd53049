"""How sure a metric is: bootstrap and Wilson intervals, paired differences; the same numbers every time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

from isheep.evaluation.base import Metric

Terms = Mapping[str, tuple[float, float]]
CHUNK = 100


@dataclass(frozen=True)
class Interval:
    """A range that holds the value in `level` of repetitions with other items of the same kind."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Metric of the one minus metric of the other over the `n` items that both have, and its interval."""

    value: float
    low: float
    high: float
    n: int


def interval(metric: Metric, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval | None:
    """Return the metric's interval: Wilson's where every item is right or wrong, else the bootstrap's.

    The bootstrap of a share that is 0 or 1 has no width, whatever n; Wilson's has. None when no item counts.
    """
    if not metric.terms:
        return None
    pairs = metric.terms.values()
    if metric.unit == "share" and all(below == 1 and above in (0, 1) for above, below in pairs):
        return wilson(sum(above for above, _ in pairs), len(pairs), level)
    return bootstrap(metric.terms, level, resamples, seed)


def wilson(successes: float, n: int, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a share (Wilson 1927; no continuity correction)."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the formula gives 0 and 1 but for rounding.
    return Interval(centre - half if successes else 0.0, centre + half if successes < n else 1.0)


def bootstrap(terms: Terms, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """Return the percentile bootstrap interval of a ratio of sums, resampling items (Efron and Tibshirani 1993, 13.3).

    Parameters
    ----------
    terms
        Item id: (numerator, denominator). The order of items does not matter.
    level
        Share of resampled values inside the interval.
    resamples
        How often n items are drawn with replacement.
    seed
        Decides the draws.
    """
    import numpy as np

    table = np.array([terms[id] for id in sorted(terms)], dtype=np.float64)
    sums = _resampled(table, resamples, seed)
    sums = sums[sums[:, 1] != 0]
    return _percentiles(sums[:, 0] / sums[:, 1], level)


def paired(one: Terms, other: Terms, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Difference | None:
    """Return the difference of two ratios of sums over the same items, each resampled together; None without any.

    What makes an item easy or hard for both cancels, so that the interval is narrower than two apart would suggest.
    """
    import numpy as np

    common = sorted(set(one) & set(other))
    if not common:
        return None
    table = np.array([(*one[id], *other[id]) for id in common], dtype=np.float64)
    totals = table.sum(axis=0)
    value = float(totals[0] / totals[1] - totals[2] / totals[3])
    sums = _resampled(table, resamples, seed)
    sums = sums[(sums[:, 1] != 0) & (sums[:, 3] != 0)]
    limits = _percentiles(sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3], level)
    return Difference(value, limits.low, limits.high, len(common))


def _resampled(table: Any, resamples: int, seed: int) -> Any:
    """Return the column sums of `resamples` draws of all rows with replacement; in chunks, to bound the memory."""
    import numpy as np

    generator = np.random.Generator(np.random.PCG64(seed))
    sums = []
    for start in range(0, resamples, CHUNK):
        drawn = generator.integers(0, len(table), size=(min(CHUNK, resamples - start), len(table)))
        sums.append(table[drawn].sum(axis=1))
    return np.concatenate(sums)


def _percentiles(values: Any, level: float) -> Interval:
    import numpy as np

    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high))


def table(metrics: Mapping[str, Metric], earlier: Mapping[str, Mapping[str, Metric]] | None = None) -> dict[str, Any]:
    """Return metrics with their intervals as JSON: value, n, low, high, unit, better, and differences.

    Parameters
    ----------
    metrics
        Of one model.
    earlier
        Of others to compare with: `{"base": ..., "previous": ...}`; each gives `minus_base` and so on.
    """
    rows: dict[str, Any] = {}
    for name, metric in metrics.items():
        limits = interval(metric)
        row: dict[str, Any] = {"value": metric.value, "n": metric.n}
        row |= {"low": limits.low if limits else None, "high": limits.high if limits else None}
        row |= {"unit": metric.unit, "better": metric.better}
        for other, theirs in (earlier or {}).items():
            difference = paired(metric.terms, theirs[name].terms) if name in theirs else None
            row[f"minus_{other}"] = (
                {"value": difference.value, "low": difference.low, "high": difference.high, "n": difference.n}
                if difference
                else None
            )
        rows[name] = row
    return rows
