"""Selection by a band of values, like the paper's perplexity filter: output and pair below 50 (isheep.md 4.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field, model_validator

from isheep.data.rows import Row
from isheep.select.base import Selection


class Band(Selection):
    """Keep rows that lie strictly between bounds, in every column that has one."""

    kind: Literal["band"] = "band"
    above: dict[str, float] = Field({}, description="Column: lower bound, itself excluded.")
    below: dict[str, float] = Field({}, description="Column: upper bound, itself excluded.")

    @model_validator(mode="after")
    def _bounded(self) -> Band:
        if not self.columns:
            raise ValueError("no bounds; write one, like below: {perplexity: 50}")
        for column in self.above.keys() & self.below.keys():
            if self.above[column] >= self.below[column]:
                raise ValueError(f"nothing lies above {self.above[column]} and below {self.below[column]} ({column})")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that has a bound."""
        return tuple(dict.fromkeys([*self.above, *self.below]))

    def dropped(self, rows: Sequence[Row]) -> list[str | None]:
        """Drop rows with the first column outside its bounds."""
        return [next(self._outside(row), None) for row in rows]

    def _outside(self, row: Row) -> Iterator[str]:
        for column in self.columns:
            if column in self.above and not row[column] > self.above[column]:
                yield f"{column}_too_low"
            if column in self.below and not row[column] < self.below[column]:
                yield f"{column}_too_high"

    @property
    def words(self) -> str:
        """Columns and bounds."""
        bounds = [
            *(f"{column} above {value:g}" for column, value in self.above.items()),
            *(f"{column} below {value:g}" for column, value in self.below.items()),
        ]
        return " and ".join(bounds)
