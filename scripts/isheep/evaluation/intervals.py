"""How sure a metric is: bootstrap and Wilson intervals, paired differences; the same numbers every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any, cast

from isheep.documents import models as documents
from isheep.documents.models import MetricScore
from isheep.evaluation.base import Metric

Terms = Mapping[str, Any]
Statistic = Callable[[list[Any]], float | None]
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
    """Return the metric's interval: Wilson's where every item is right or wrong, or all are; else the bootstrap's.

    The bootstrap of a share that is 0 or 1 has no width, whatever n; Wilson's, over the items, has. None when no item
    counts.
    """
    if not metric.terms or metric.value is None:
        return None
    terms = metric.terms
    if metric.unit == "share" and not metric.statistic:
        one_each = all(below == 1 and above in (0, 1) for above, below in terms.values())
        if one_each or metric.value in (0, 1):
            return wilson(round(metric.value * len(terms)), len(terms), level)
    return bootstrap(terms, metric.statistic, level, resamples, seed)


def wilson(successes: float, n: int, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a share (Wilson 1927; no continuity correction)."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the formula gives 0 and 1 but for rounding.
    return Interval(centre - half if successes else 0.0, centre + half if successes < n else 1.0)


def bootstrap(
    terms: Terms, statistic: Statistic | None = None, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval | None:
    """Return the percentile bootstrap interval of a metric, resampling items (Efron and Tibshirani 1993, 13.3).

    Parameters
    ----------
    terms
        Item id: (numerator, denominator), or what the statistic takes. The order of items does not matter.
    statistic
        Of what the drawn items bring; the ratio of their sums when not given.
    level
        Share of resampled values inside the interval.
    resamples
        How often n items are drawn with replacement; draws without a value do not count.
    seed
        Decides the draws.
    """
    return _percentiles(_resampled([terms[id] for id in sorted(terms)], statistic, resamples, seed), level)


def paired(one: Metric, other: Metric, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Difference | None:
    """Return the difference of a metric of two models over the same items, each resampled together; None without any.

    What makes an item easy or hard for both cancels, so that the interval is narrower than two apart would suggest.
    """
    common = sorted(set(one.terms) & set(other.terms))
    sides = [[metric.terms[id] for id in common] for metric in (one, other)]
    statistic = one.statistic or _ratio
    values = [statistic(side) if common else None for side in sides]
    if values[0] is None or values[1] is None:
        return None
    drawn = [_resampled(side, one.statistic, resamples, seed) for side in sides]  # the same draws on both sides
    limits = _percentiles(drawn[0] - drawn[1], level)
    return Difference(values[0] - values[1], limits.low, limits.high, len(common)) if limits else None


def _ratio(terms: Sequence[tuple[float, float]]) -> float | None:
    below = sum(term[1] for term in terms)
    return sum(term[0] for term in terms) / below if below else None


def _resampled(terms: Sequence[Any], statistic: Statistic | None, resamples: int, seed: int) -> Any:
    """Return the values of `resamples` draws of all items with replacement, NaN where there is none.

    In chunks, to bound the memory; which items are drawn depends on their number and the seed alone.
    """
    import numpy as np

    generator = np.random.Generator(np.random.PCG64(seed))
    pairs = np.array([] if statistic else terms, dtype=np.float64)
    values = []
    for start in range(0, resamples, CHUNK):
        drawn = generator.integers(0, len(terms), size=(min(CHUNK, resamples - start), len(terms)))
        if statistic:
            found = [statistic([terms[item] for item in draw]) for draw in drawn]
            values.append(np.array([np.nan if value is None else value for value in found]))
        else:
            above, below = np.moveaxis(pairs[drawn].sum(axis=1), 1, 0)
            values.append(np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0))
    return np.concatenate(values)


def _percentiles(values: Any, level: float) -> Interval | None:
    import numpy as np

    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high))


def table(
    metrics: Mapping[str, Metric], earlier: Mapping[str, Mapping[str, Metric]] | None = None
) -> dict[str, MetricScore]:
    """Return metrics with their intervals as JSON: value, n, low, high, unit, better, and differences.

    Parameters
    ----------
    metrics
        Of one model.
    earlier
        Of others to compare with: `{"base": ..., "previous": ...}`; each gives `minus_base` and so on.
    """
    rows: dict[str, MetricScore] = {}
    for name, metric in metrics.items():
        limits = interval(metric)
        row: MetricScore = {
            "value": metric.value,
            "n": metric.n,
            "low": limits.low if limits else None,
            "high": limits.high if limits else None,
            "unit": metric.unit,
            "better": metric.better,
        }
        differences = {
            f"minus_{other}": _plain(paired(metric, theirs[name]) if name in theirs else None)
            for other, theirs in (earlier or {}).items()
        }
        rows[name] = cast(MetricScore, {**row, **differences})
    return rows


def _plain(difference: Difference | None) -> documents.Difference | None:
    if difference is None:
        return None
    return {"value": difference.value, "low": difference.low, "high": difference.high, "n": difference.n}
