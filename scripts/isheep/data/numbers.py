"""Numbers as people read them: three ways of writing one, and one way of writing an interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MINUS = "\N{MINUS SIGN}"
Write = Callable[[float | None], str]


def shown(value: float | None, unit: str = "", signed: bool = False) -> str:
    """Return a number for the page: a share in percent, all else in four digits; an en dash for none."""
    if value is None:
        return "\N{EN DASH}"
    sign = ("+" if value > 0 else MINUS if value < 0 else "\N{PLUS-MINUS SIGN}") if signed else MINUS * (value < 0)
    size = abs(value)
    if unit == "share":
        return f"{sign}{100 * size:.1f}{' points' if signed else ' %'}"
    return f"{sign}{size:,.0f}" if size >= 1000 or size == int(size) else f"{sign}{size:.4g}"


def brief(value: float | None) -> str:
    """Return a number for a card: three digits, a whole or large one in full; a dash for none."""
    if value is None:
        return "-"
    return f"{value:,.3g}" if value % 1 and abs(value) < 100 else f"{value:,.0f}"


def fixed(value: float | None, sign: str = "", digits: int = 3) -> str:
    """Return a number for a column of plain text: always so many digits after the point; a dash for none."""
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def interval(row: Mapping[str, Any] | None, write: Write = brief, none: str = "-", joint: str = " to ") -> str:
    """Return the bounds `low` and `high` of a number, written like it.

    Parameters
    ----------
    row
        Holds the bounds, or is None.
    write, none, joint
        How a bound is written; what stands for a missing bound; what stands between the two.
    """
    if row is None or row.get("low") is None or row.get("high") is None:
        return none
    return f"{write(row['low'])}{joint}{write(row['high'])}"


def span(row: Mapping[str, Any], unit: str = "", signed: bool = False) -> str:
    """Return the 95 % interval of a value for the page; empty when there is none."""
    return interval(row, lambda value: shown(value, unit, signed), none="")
