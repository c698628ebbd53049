"""Selection by an absolute score, as in the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from isheep.assess.base import Scale
from isheep.data.rows import Row
from isheep.select.base import Selection


class Threshold(Selection):
    """Keep rows whose scores all lie strictly above a value, as the paper (quality > 8 and following > 8)."""

    kind: Literal["threshold"] = "threshold"
    above: dict[str, float] = Field({"quality": 8.0, "following": 8.0}, description="Column: value.", min_length=1)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that has a value."""
        return tuple(self.above)

    def check(self, scales: Mapping[str, Scale | None]) -> None:
        """Refuse values at the end of a column's scale and beyond, and those more than a step below its beginning."""
        for column, value in self.above.items():
            scale = scales.get(column)
            if scale and not scale.lowest - scale.step <= value < scale.highest:
                raise ValueError(
                    f"{column} above {value} can never be met or says nothing: "
                    f"scores are {scale.lowest:g} to {scale.highest:g}"
                )

    def dropped(self, rows: Sequence[Row]) -> list[str | None]:
        """Drop rows with the first column that is not above its value."""
        return [
            next((f"{column}_too_low" for column, least in self.above.items() if not row[column] > least), None)
            for row in rows
        ]

    @property
    def words(self) -> str:
        """Columns and values."""
        return " and ".join(f"{column} above {value}" for column, value in self.above.items())
