"""No selection: the ablation without assessment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from isheep.data.rows import Row
from isheep.select.base import Selection


class KeepAll(Selection):
    """Keep every row."""

    kind: Literal["none"] = "none"

    def dropped(self, rows: Sequence[Row]) -> list[str | None]:
        """Drop nothing."""
        return [None] * len(rows)

    @property
    def words(self) -> str:
        """All of them."""
        return "every row"
