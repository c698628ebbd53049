"""A range of values, and the quantiles that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Interval:
    """A range that holds the value in a given share of repetitions with other items of the same kind."""

    low: float
    high: float


def normal_quantile(level: float) -> float:
    """Return how many standard deviations from its mean a normal variable stays with probability `level`."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def t_quantile(level: float, freedom: float) -> float:
    """Return the same of Student's t; `freedom` are its degrees of freedom, at least one."""
    from scipy.special import stdtrit

    return float(stdtrit(max(freedom, 1.0), 0.5 + level / 2))
