"""Selection of a number of rows, for a fixed budget of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from isheep.data.rows import Row
from isheep.select.base import Selection, all_but_best


class TopK(Selection):
    """Keep the k best rows by one column."""

    kind: Literal["top_k"] = "top_k"
    column: str = Field("pmi", description="Column to rank by.")
    k: int = Field(3000, ge=1, description="Rows to keep.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The column to rank by."""
        return (self.column,)

    def dropped(self, rows: Sequence[Row]) -> list[str | None]:
        """Drop all but the k best."""
        return all_but_best(rows, self.column, self.k)

    @property
    def words(self) -> str:
        """Number and column."""
        return f"the best {self.k} by {self.column}"
