"""Alarm copied_seeds."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from isheep.health.alarm import Alarm, Document, Reading, of_near_duplicates


class CopiedSeeds(Alarm):
    """A round gives back what it was shown."""

    at: float = Field(0.1, gt=0, le=1, description="Share of instructions that are near-duplicates of a seed's.")

    measure = "duplicates"
    meaning = "{value} of {what} are near-duplicates of a seed's"
    place = 6

    def read(self, document: Document) -> Iterator[Reading]:
        """Yield the share of instructions that repeat a seed's."""
        return of_near_duplicates(document, "seeds", "instruction")
