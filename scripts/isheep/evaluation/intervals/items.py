"""What each item does to a metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isheep.evaluation.base import Metric


@dataclass(frozen=True)
class Items:
    """A metric over n items, and how each moves it.

    Parameters
    ----------
    value
        The metric.
    shares
        What each item brings, (n,), so that their mean is the value: itself in a mean; in a ratio of sums the numerator
        over the mean denominator.
    influence
        By how much, times n, each moves the value: (n,), so that their variance over n is the value's.
    effective
        Items of equal weight that would be worth as much (Kish 1965), at most n.
    right_or_wrong
        Whether every item is a single one that is right (1) or wrong (0).
    """

    value: float
    shares: np.ndarray
    influence: np.ndarray
    effective: float
    right_or_wrong: bool


def squares(influence: np.ndarray) -> float:
    """Return the sum of squared deviations of an influence (n,), enlarged as a variance with n - 1 asks for."""
    n = len(influence)
    return float(np.square(influence - influence.mean()).sum()) * n / max(n - 1, 1)


def items(metric: Metric, ids: Sequence[str], bounds: tuple[float, float] = (0.0, 1.0)) -> Items | None:
    """Return what the items `ids` do to a metric, which need not be all; None where it has no value.

    Parameters
    ----------
    metric
        With terms.
    ids
        Of its terms, in the order of what is returned.
    bounds
        Values that are to become 0 and 1.
    """
    if not ids:
        return None
    terms = [metric.terms[id] for id in ids]
    low, width = bounds[0], bounds[1] - bounds[0]
    if metric.statistic is not None:
        return _jackknife(metric, terms, low, width)
    above, below = np.array(terms, dtype=float).T
    above = (above - low * below) / width
    value, weights = float(above.sum() / below.sum()), below / below.sum()
    # An item of much weight pulls the value towards itself and hides how far it is off: HC3 (MacKinnon and White 1985).
    unseen = 1 - weights if len(terms) > 1 else 1.0
    influence = (above - value * below) / below.mean() / unseen
    whole = bool((below == 1).all() and np.isin(above, (0, 1)).all())
    return Items(value, above / below.mean(), influence, float(1 / np.square(weights).sum()), whole)


def _jackknife(metric: Metric, terms: Sequence[object], low: float, width: float) -> Items | None:
    """Return the items of a statistic: what leaving each out does (Efron and Tibshirani 1993, 11.5)."""
    assert metric.statistic is not None
    n, value = len(terms), metric.statistic(list(terms))
    without = [metric.statistic([*terms[:left], *terms[left + 1 :]]) for left in range(n)]
    if value is None or any(estimate is None for estimate in without):
        return None
    value, left_out = (value - low) / width, (np.array(without, dtype=float) - low) / width
    influence = (n - 1) * (left_out.mean() - left_out)
    return Items(value, value + influence, influence, float(n), False)
