"""Alarm empty_answers."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from isheep.health.alarm import Alarm, Document, Reading, of_generated


class EmptyAnswers(Alarm):
    """The model says nothing."""

    at: float = Field(0.1, gt=0, le=1, description="Share of all answers that are blank.")

    measure = "lengths"
    meaning = "{value} of all answers are blank"
    place = 3

    def read(self, document: Document) -> Iterator[Reading]:
        """Yield the share of blank answers."""
        return of_generated(document, "share_empty")
