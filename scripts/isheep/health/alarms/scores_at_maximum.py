"""Alarm scores_at_maximum."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from isheep.health.alarm import Alarm, Document, Reading, of_scores


class ScoresAtMaximum(Alarm):
    """A judge that likes everything."""

    at: float = Field(0.5, gt=0, le=1, description="Share of rows to which a judge gives the best score.")

    measure = "scores"
    meaning = "{value} of rows get the best score by {what}"
    place = 9

    def read(self, document: Document) -> Iterator[Reading]:
        """Yield the share of best scores by each column that has a best."""
        return of_scores(document, "share_at_maximum")
