"""Intervals of paired differences that lie between -1 and 1: they keep a width where no item changed."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sqrt

import numpy as np

from isheep.evaluation.intervals.range import Interval
from isheep.evaluation.intervals.shares import PSEUDO

STEPS = 50


def tango(better: float, worse: float, n: float, quantile: float) -> Interval:
    """Return the score interval of a paired difference of shares (Tango, Statistics in Medicine 17, 1998).

    Parameters
    ----------
    better, worse
        Items that only the one, only the other got right; they need not be whole numbers.
    n
        All items.
    quantile
        In standard errors, 1.96 for 95 %.
    """

    def score(difference: float) -> float:
        """How many standard errors, if `difference` were true, what is observed lies above it."""
        linear = (2 * n - better + worse) * difference - better - worse
        constant = -worse * difference * (1 - difference)
        only_other = (sqrt(max(linear * linear - 8 * n * constant, 0.0)) - linear) / (4 * n)
        variance = n * (2 * only_other + difference * (1 - difference))
        above = better - worse - n * difference
        return above / sqrt(variance) if variance > 0 else above * inf

    value = (better - worse) / n
    ends = (-1.0, 1.0)
    return Interval(*(_farthest(lambda point: abs(score(point)) <= quantile, value, end) for end in ends))


def _farthest(holds: Callable[[float], bool], inside: float, end: float) -> float:
    """Return the point farthest from `inside` towards `end` where `holds`, by bisection."""
    for _ in range(STEPS):
        middle = (inside + end) / 2
        inside, end = (middle, end) if holds(middle) else (inside, middle)
    return inside


def graded_tango(value: float, changes: np.ndarray, squares: float, quantile: float) -> Interval:
    """Return Tango's interval for items that change by any amount, as if all changes were of one size.

    With that size, `step`, and numbers of better and worse items that have the observed mean and spread, Tango's
    interval times the step is asked for. Where every change is 1 or -1 it is Tango's own; where nearly all items change
    by various amounts it is close to Student's t; in between it keeps the width that few changes do not show.

    Parameters
    ----------
    value
        The difference.
    changes
        What each item changes by, (n,), of which the difference is the mean.
    squares
        Sum of the squared deviations from it, as the difference's standard error has them.
    quantile
        In standard errors.
    """
    n = len(changes)
    raw = squares + n * value * value
    step = (float(np.square(changes).sum()) + PSEUDO) / (float(np.abs(changes).sum()) + PSEUDO)
    step = max(step, sqrt(raw / n))  # no more changes than items
    net = n * value / step
    changed = max(raw / step**2, abs(net))
    limits = tango((changed + net) / 2, (changed - net) / 2, n, quantile)
    return Interval(limits.low * step, limits.high * step)
