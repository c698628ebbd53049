"""Alarm near_duplicates."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from isheep.health.alarm import Alarm, Document, Reading, of_near_duplicates


class NearDuplicates(Alarm):
    """The same data over and over."""

    at: float = Field(
        0.25,
        gt=0,
        le=1,
        description="Share of instructions (or of answers) that are near-duplicates of an earlier one.",
    )

    measure = "duplicates"
    meaning = "{value} of {what} are near-duplicates of an earlier one of the round"
    place = 4

    def read(self, document: Document) -> Iterator[Reading]:
        """Yield the shares of instructions and of answers that repeat the round's own."""
        return of_near_duplicates(document, "within_round", "instruction", "output")
