"""The one form in which a measured number is written."""

from __future__ import annotations

from typing import Literal

from isheep.data.values import significant
from isheep.documents.rounds import Quantity


def quantity(value: float | None, n: int, unit: str, better: Literal["higher", "lower", ""] = "") -> Quantity:
    """Return a number with its context, six significant digits of it.

    Parameters
    ----------
    value
        None when it cannot be told.
    n
        Rows (or texts) that it was measured on.
    unit
        What it counts: share, words, bits, ...
    better
        Which way is better; "" when neither is.
    """
    return {"value": None if value is None else significant(value), "n": n, "unit": unit, "better": better}


def share(count: int, n: int, better: Literal["higher", "lower", ""] = "lower") -> Quantity:
    """Return the share of n rows that `count` of them are; None of none."""
    return quantity(count / n if n else None, n, "share", better)
