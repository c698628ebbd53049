"""Intervals of means without bounds, whose items may be skewed."""

from __future__ import annotations

from math import sqrt

import numpy as np

from isheep.evaluation.intervals.range import Interval


def skewed(value: float, influence: np.ndarray, quantile: float) -> Interval:
    """Return the wider, on each side, of Student's interval and of Hall's.

    Hall's takes the skewness out of the t statistic by a monotone cubic (Journal of the Royal Statistical Society B 54,
    1992, section 2). Student's covers too rarely where items are skewed, Hall's where few heavy items make the
    denominator of a ratio; together they hold in both cases.

    Parameters
    ----------
    value
        The mean, or a ratio of means.
    influence
        What each item moves it by, times n: (n,) with n at least two.
    quantile
        Of Student's t.
    """
    n = len(influence)
    deviations = influence - influence.mean()
    variance = float(np.square(deviations).mean())
    if variance <= 0:
        return Interval(value, value)
    error = sqrt(variance / (n - 1))
    skewness = float((deviations**3).mean()) / variance**1.5
    low, high = (value - error * _unskewed(end, skewness, n) for end in (quantile, -quantile))
    return Interval(min(low, value - quantile * error), max(high, value + quantile * error))


def _unskewed(quantile: float, skewness: float, n: int) -> float:
    """Return the t statistic that Hall's cubic maps to `quantile`: its equation (2) with a = 1/3, b = 1/6, inverted."""
    if abs(skewness) < 1e-6:
        return quantile
    inner = 1 + skewness * (quantile / sqrt(n) - skewness / (6 * n))
    return (float(np.cbrt(inner)) - 1) * 3 * sqrt(n) / skewness
