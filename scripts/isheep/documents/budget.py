"""`iter_I/budget.json`: whether a run goes on with d_I, by what it took so far and what the next round will take."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import TypedDict  # typing's own cannot be validated before Python 3.12

from isheep.config.budget import UNITS
from isheep.documents.reading import read


class Decision(TypedDict):
    """A decision before a round; spent, following and budget are in `hours` and `gpu_hours`."""

    round: int
    of: int
    goes_on: bool
    budget: dict[str, float]
    spent: dict[str, float]
    following: dict[str, float]


def read_decision(path: str | Path) -> Decision:
    """Return a decision; raise UserError naming the file when it holds something else."""
    return read(path, Decision, "a decision on a run's budget")


def words(decision: Decision) -> str:
    """Return the sentence of a decision to stop."""
    unit = next(unit for unit in decision["budget"] if not fits(decision, unit))
    spent, limit, following = (figures(decision[key][unit]) for key in ("spent", "budget", "following"))
    rounds = decision["round"]
    return (
        f"Stopped by its budget after {rounds} of {decision['of']} rounds, with iter_{rounds}: {spent} of {limit} "
        f"{UNITS[unit]} are spent, and the next round would take about {following} more."
    )


def fits(decision: Decision, unit: str) -> bool:
    """Return whether the next round ends within the budget, in one unit."""
    return decision["spent"][unit] + decision["following"][unit] <= decision["budget"][unit]


def figures(hours: float) -> str:
    """Return hours as people say them."""
    return f"{hours:,.1f}" if hours >= 10 else f"{hours:.2g}"
