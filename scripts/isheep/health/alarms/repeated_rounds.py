"""Alarm repeated_rounds."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from isheep.health.alarm import Alarm, Document, Reading, of_near_duplicates


class RepeatedRounds(Alarm):
    """A round makes what earlier rounds made."""

    at: float = Field(
        0.25, gt=0, le=1, description="Share of instructions that are near-duplicates of one of an earlier round."
    )

    measure = "duplicates"
    meaning = "{value} of {what} are near-duplicates of one of an earlier round"
    place = 5

    def read(self, document: Document) -> Iterator[Reading]:
        """Yield the share of instructions that repeat earlier rounds."""
        return of_near_duplicates(document, "earlier_rounds", "instruction")
