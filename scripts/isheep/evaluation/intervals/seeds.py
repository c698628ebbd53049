"""Intervals of a metric that was measured on the same items in runs of several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from isheep.evaluation.base import Metric
from isheep.evaluation.intervals.items import items
from isheep.evaluation.intervals.metrics import BOUNDS, FREE, Difference, interval, paired
from isheep.evaluation.intervals.range import Interval, t_quantile


@dataclass(frozen=True)
class Pooled:
    """A metric over runs of several seeds: its mean, interval, items and seeds."""

    value: float
    low: float
    high: float
    n: int
    seeds: int


def pooled(metrics: Sequence[Metric], others: Sequence[Metric] | None = None, level: float = 0.95) -> Pooled | None:
    """Return the mean of a metric over seeds, or of its difference from others, and an interval over seeds and items.

    Both the items and the seeds could have been others: two crossed random factors (Searle, Casella and McCulloch 1992,
    4.3). Each one's half-width by its own mean square and Student's quantile is squared and added (Howe, Journal of the
    American Statistical Association 69, 1974), less what is left when both are taken out, which both count. Where
    little changes between items and seeds that is too narrow: on each side the farther end of it and of the interval
    over items alone, of what they have on average, is taken. One seed has the latter. Two say little of seeds, and the
    interval shows it.

    Parameters
    ----------
    metrics
        Of one model, a seed each.
    others
        Of what it is compared with, in the same order of seeds; item by item.
    level
        In how many repetitions, with other seeds and items of the same kind, the value is to lie inside.

    Returns
    -------
    Pooled or None
        None where no two items are in all of them.
    """
    both = [*metrics, *(others or ())]
    common = sorted(set.intersection(*(set(metric.terms) for metric in both)))
    bounds = BOUNDS.get(metrics[0].unit)
    mine = _values(metrics, common, bounds or FREE)
    theirs = _values(others, common, bounds or FREE) if others else 0.0
    if len(common) < 2 or mine is None or theirs is None:
        return None
    width = bounds[1] - bounds[0] if bounds else 1.0
    start = bounds[0] if bounds and not others else 0.0
    value, low, high = (start + width * point for point in _crossed(mine - theirs, level))
    over_items = _over_items(metrics, others, common, level)
    if over_items is not None and len(metrics) == 1:
        low, high = over_items.low, over_items.high
    elif over_items is not None:
        low, high = min(low, over_items.low), max(high, over_items.high)
    if bounds:
        least, most = (-width, width) if others else bounds
        low, high = max(least, low), min(most, high)
    return Pooled(value, low, high, len(common), len(metrics))


def _values(metrics: Sequence[Metric], common: Sequence[str], bounds: tuple[float, float]) -> np.ndarray | None:
    """Return what each item brings to a metric at each seed, (seeds, items); a seed's mean is its value."""
    rows = []
    for metric in metrics:
        found = items(metric, common, bounds)
        if found is None:
            return None
        rows.append(found.value + found.influence - found.influence.mean())
    return np.array(rows)


def _crossed(values: np.ndarray, level: float) -> tuple[float, float, float]:
    """Return mean, low and high of (seeds, items), both drawn at random; of one seed, over its items."""
    seeds, count = values.shape
    mean = float(values.mean())
    by_item, by_seed = values.mean(axis=0) - mean, values.mean(axis=1) - mean
    of_items = _square(seeds * float(np.square(by_item).sum()), count - 1, level)
    most = of_items
    if seeds > 1:
        of_seeds = _square(count * float(np.square(by_seed).sum()), seeds - 1, level)
        rest = values - mean - by_item - by_seed[:, None]
        counted_twice = _square(float(np.square(rest).sum()), (seeds - 1) * (count - 1), level)
        most = max(of_items + of_seeds - counted_twice, of_items, of_seeds)
    half = sqrt(most / (seeds * count))
    return mean, mean - half, mean + half


def _square(squares: float, freedom: int, level: float) -> float:
    """Return a mean square times the square of Student's quantile for its degrees of freedom."""
    return squares / freedom * t_quantile(level, freedom) ** 2


def _over_items(
    metrics: Sequence[Metric], others: Sequence[Metric] | None, common: Sequence[str], level: float
) -> Interval | Difference | None:
    if any(metric.statistic for metric in metrics):
        return None
    mine = _on_average(metrics, common)
    return paired(mine, _on_average(others, common), level) if others else interval(mine, level)


def _on_average(metrics: Sequence[Metric], common: Sequence[str]) -> Metric:
    """Return a ratio of sums whose items bring what they bring on average over seeds."""
    terms = {id: tuple(np.mean([metric.terms[id] for metric in metrics], axis=0)) for id in common}
    above, below = np.sum(list(terms.values()), axis=0)
    return Metric(float(above / below), len(common), metrics[0].unit, metrics[0].better, terms)
