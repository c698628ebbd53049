"""Selection of a few rows of each cluster, for variety: drawn, or those of lowest perplexity (isheep.md 4.4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from isheep.data.files import digest
from isheep.data.rows import Row
from isheep.select.base import Selection


class Density(Selection):
    """Keep at most so many rows of each cluster that stage cluster_outputs found (`cluster.count`)."""

    kind: Literal["density"] = "density"
    per_cluster: int = Field(1, ge=1, description="Rows of each cluster that stay.")
    by: str | None = Field(
        None, description="Column whose lowest values stay, like a perplexity; without one, a hash of the id draws."
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The cluster, and the column to rank by."""
        return ("cluster", self.by) if self.by else ("cluster",)

    def dropped(self, rows: Sequence[Row]) -> list[str | None]:
        """Drop all but the first few of each cluster."""
        clusters: dict[int, list[int]] = defaultdict(list)
        for index in sorted(range(len(rows)), key=lambda index: (self._rank(rows[index]), index)):
            clusters[rows[index]["cluster"]].append(index)
        kept = {index for members in clusters.values() for index in members[: self.per_cluster]}
        return [None if index in kept else "cluster_full" for index in range(len(rows))]

    def _rank(self, row: Row) -> Any:
        return row[self.by] if self.by else digest(row["id"])

    @property
    def words(self) -> str:
        """How many of each cluster, and which."""
        which = f"with the lowest {self.by}" if self.by else "drawn by chance"
        return f"{self.per_cluster} of each cluster, {which}"
