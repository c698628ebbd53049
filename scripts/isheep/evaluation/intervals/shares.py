"""Intervals of means that lie between two bounds, by pseudo-observations: they keep a width at the bounds."""

from __future__ import annotations

from math import sqrt

from isheep.evaluation.intervals.range import Interval

PSEUDO = 0.05
"""Of an item that is wholly right or wrong, added to what is observed of the items' spread.

A few items that are all graded low, or all changed by little, do not prove that none is ever wholly right or wrong.
"""


def agresti_coull(share: float, n: float, quantile: float) -> Interval:
    """Return the interval of a share of n independent items (Agresti and Coull, American Statistician 52, 1998).

    Wald's interval after adding quantile squared observations, half of them right: Wilson's centre, a little wider near
    0 and 1, where Wilson's covers too rarely.

    Parameters
    ----------
    share
        Of 0-1.
    n
        Items; effective ones need not be a whole number.
    quantile
        In standard errors, 1.96 for 95 %.
    """
    size = n + quantile**2
    centre = (share * n + quantile**2 / 2) / size
    half = quantile * sqrt(centre * (1 - centre) / size)
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0))


def effective_items(share: float, squares: float, n: int) -> float:
    """Return how many items that are right or wrong would make a mean of graded items as sure as it is.

    The idea of Korn and Graubard (Survey Methodology 24, 1998) for clustered shares: the binomial variance over the one
    observed. At most n squared / 4, since nothing but ties among n items leaves their share open by some 2 / n.

    Parameters
    ----------
    share
        The mean, 0-1.
    squares
        Sum of the squared deviations of what the items bring.
    n
        Items.
    """
    ratio = (squares + PSEUDO) / (n * share * (1 - share) + PSEUDO)
    return min(n / ratio, n * max(1.0, n / 4))
