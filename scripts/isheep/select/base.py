"""What every selection is: a section that says which assessed rows are dropped, and why."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from pydantic import Field

from isheep.assess.base import Scale
from isheep.config.section import Section
from isheep.data.rows import Row


class Selection(Section):
    """Decides which assessed rows train the next model; what all selections share is in `select.rows`."""

    kind: str
    floor: int = Field(16, ge=1, description="Rows that must be kept; fewer stop the run with the funnel.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of scores that it reads."""
        return ()

    def check(self, scales: Mapping[str, Scale | None]) -> None:
        """Raise ValueError when the settings make no sense for the scales of the columns that it reads."""

    @abstractmethod
    def dropped(self, rows: Sequence[Row]) -> list[str | None]:
        """Return for each row the reason to drop it, or None."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What it keeps, in words, for the card of a data set."""


def all_but_best(rows: Sequence[Row], column: str, count: int) -> list[str | None]:
    """Return the reason to drop each row but the `count` with the highest scores; of equal ones the earlier stays."""
    best = set(sorted(range(len(rows)), key=lambda index: (-rows[index][column], index))[:count])
    return [None if index in best else f"{column}_too_low" for index in range(len(rows))]
