"""Which interval a metric gets, the difference of two models' metrics, and both as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from isheep.evaluation.base import Metric
from isheep.evaluation.intervals.range import Interval, normal_quantile, t_quantile

if TYPE_CHECKING:
    from isheep.evaluation.intervals.items import Items

BOUNDS = {"share": (0.0, 1.0), "1-10": (1.0, 10.0), "Spearman's rho": (-1.0, 1.0)}
"""Units whose values lie between two bounds."""
NEVER_NEGATIVE = frozenset({"bits per byte", "words", "tokens"})
"""Other units whose values have a least one, which is 0."""
FREE = (0.0, 1.0)
"""What is taken for bounds of other units: nothing is rescaled."""


@dataclass(frozen=True)
class Difference:
    """Metric of the one minus metric of the other over the `n` items that both have, and its interval."""

    value: float
    low: float
    high: float
    n: int


def interval(metric: Metric, level: float = 0.95) -> Interval | None:
    """Return the interval of a metric, from its items; None where too few count to know it.

    Right-or-wrong items get Agresti and Coull's; graded or clustered ones between bounds the same over as many items as
    their spread is worth, with Student's quantile; others Student's and Hall's (see `shares` and `means`).

    Parameters
    ----------
    metric
        With what every item brings to it.
    level
        In how many repetitions with other items of the same kind the value is to lie inside.
    """
    from isheep.evaluation.intervals.items import items, squares
    from isheep.evaluation.intervals.means import skewed
    from isheep.evaluation.intervals.shares import agresti_coull, effective_items

    bounds = BOUNDS.get(metric.unit)
    mine = items(metric, sorted(metric.terms), bounds or FREE)
    if mine is None:
        return None
    n, quantile = len(mine.shares), t_quantile(level, mine.effective - 1)
    if bounds is None:
        limits = skewed(mine.value, mine.influence, quantile) if n > 1 else None
        if limits and metric.unit in NEVER_NEGATIVE:
            return Interval(max(0.0, limits.low), limits.high)  # a few items of very different sizes reach below
        return limits
    if mine.right_or_wrong:
        return agresti_coull(mine.value, n, normal_quantile(level))
    effective = effective_items(mine.value, squares(mine.influence), n)
    return _scaled(agresti_coull(mine.value, effective, quantile), bounds)


def paired(one: Metric, other: Metric, level: float = 0.95) -> Difference | None:
    """Return the difference of a metric of two models over the items that both have; None where too few are.

    What makes an item easy or hard for both cancels, so that the interval is narrower than two apart would suggest.
    Right-or-wrong items get Tango's interval, graded ones between bounds its generalisation, others Student's and
    Hall's (see `changes` and `means`).
    """
    from isheep.evaluation.intervals.items import items

    bounds = BOUNDS.get(one.unit)
    common = sorted(set(one.terms) & set(other.terms))
    mine, theirs = (items(metric, common, bounds or FREE) for metric in (one, other))
    if mine is None or theirs is None or (bounds is None and len(common) < 2):
        return None
    width = bounds[1] - bounds[0] if bounds else 1.0
    limits = _difference(mine, theirs, bounds is not None, level)
    return Difference((mine.value - theirs.value) * width, limits.low * width, limits.high * width, len(common))


def _difference(mine: Items, theirs: Items, bounded: bool, level: float) -> Interval:
    """Return the interval of the difference of two values between bounds of 0 and 1, or without any."""
    from isheep.evaluation.intervals.changes import graded_tango, tango
    from isheep.evaluation.intervals.items import squares
    from isheep.evaluation.intervals.means import skewed

    value, influence = mine.value - theirs.value, mine.influence - theirs.influence
    changes = mine.shares - theirs.shares
    quantile = t_quantile(level, min(mine.effective, theirs.effective) - 1)
    if not bounded:
        return skewed(value, influence, quantile)
    if mine.right_or_wrong and theirs.right_or_wrong:
        better, worse = float((changes > 0).sum()), float((changes < 0).sum())
        return tango(better, worse, len(changes), normal_quantile(level))
    return graded_tango(value, changes, squares(influence), quantile)


def _scaled(limits: Interval, bounds: tuple[float, float]) -> Interval:
    low, width = bounds[0], bounds[1] - bounds[0]
    return Interval(low + width * limits.low, low + width * limits.high)


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
            difference = paired(metric, theirs[name]) if name in theirs else None
            row[f"minus_{other}"] = asdict(difference) if difference else None
        rows[name] = row
    return rows
