"""Alarm scores_follow_length."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from isheep.health.alarm import Alarm, Document, Reading, of_scores


class ScoresFollowLength(Alarm):
    """A score that measures length."""

    at: float = Field(0.7, gt=0, le=1, description="Rank correlation (either sign) of a score with answer length.")

    measure = "scores"
    meaning = "{what} has a rank correlation of {value} (either sign) with the length of the answer"
    in_percent = False
    place = 10

    def read(self, document: Document) -> Iterator[Reading]:
        """Yield the rank correlation of each column with the length of answers."""
        return of_scores(document, "correlation_with_length")
