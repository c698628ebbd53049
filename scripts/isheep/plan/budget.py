"""A run's plan against its budget: how many rounds that will pay for, and whether for any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isheep.config.budget import UNITS
from isheep.documents.budget import figures
from isheep.errors import UserError

Hours = Mapping[str, float]
"""By the units of section `budget`."""


@dataclass(frozen=True)
class Forecast:
    """What a run took and will take, held against its budget.

    Parameters
    ----------
    limits, spent
        The budget; what the run took.
    rounds
        What each round that is not made whole will still take, by its number.
    error
        The factor within which a plan likely is.
    """

    limits: Hours
    spent: Hours
    rounds: Mapping[int, Hours]
    error: float

    def ends_before(self, unit: str) -> int | None:
        """Return the first round that ends beyond the budget; None where all end within it."""
        total = self.spent[unit]
        for i, hours in sorted(self.rounds.items()):
            total += hours[unit]
            if total > self.limits[unit]:
                return i
        return None

    def refuse_if_useless(self, run: str) -> None:
        """Raise UserError where not even the first round would end within the budget, however well the plan goes.

        One that has begun is ended whatever it takes: a kill and a new start change nothing.
        """
        begun = 0 not in self.rounds or any(self.spent.values())
        for unit, limit in [] if begun else self.limits.items():
            least = self.rounds[0][unit] / self.error
            if least > limit:
                raise UserError(
                    f"runs.{run}.budget.{unit}: {limit:g} is less than the {figures(least)} {UNITS[unit]} that the "
                    "first round takes at the least by its plan (snakemake plan); raise it"
                )

    def lines(self) -> list[str]:
        """Return a line for each limit: what is spent, what the plan adds, with which model the run would stop."""
        told = []
        for unit, limit in self.limits.items():
            planned = sum(hours[unit] for hours in self.rounds.values())
            spent = f"{figures(self.spent[unit])} spent, {figures(planned)} planned"
            line = f"Budget: {figures(limit)} {UNITS[unit]}, {spent}"
            stop = self.ends_before(unit)
            if stop is None:
                told.append(f"{line}: enough.")
            elif stop:
                told.append(f"{line}: NOT ENOUGH FOR ALL ROUNDS, the run likely stops with iter_{stop}.")
            else:
                told.append(f"{line}: LIKELY NOT ENOUGH FOR THE FIRST ROUND, which is never stopped within.")
        return told
