"""Selection of a share of the rows, for models too small for an absolute scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from isheep.data.rows import Row
from isheep.select.base import Selection, all_but_best


class Quantile(Selection):
    """Keep the best share of rows by one column."""

    kind: Literal["quantile"] = "quantile"
    column: str = Field("pmi", description="Column to rank by.")
    share: float = Field(0.5, gt=0, le=1, description="Share of rows to keep.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The column to rank by."""
        return (self.column,)

    def dropped(self, rows: Sequence[Row]) -> list[str | None]:
        """Drop all but the best share."""
        return all_but_best(rows, self.column, round(self.share * len(rows)))

    @property
    def words(self) -> str:
        """Share and column."""
        return f"the best {self.share:.0%} by {self.column}"
