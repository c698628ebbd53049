"""Alarm fallen_diversity."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from isheep.health.alarm import Alarm, Document, Reading, of_fall


class FallenDiversity(Alarm):
    """Fewer different word pairs on as much text."""

    at: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Share of d_0's distinct-2 (instructions or answers) that is lost, on as many rows.",
    )

    measure = "diversity"
    meaning = "{what} is {value} lower than in d_0"
    place = 7

    def read(self, document: Document) -> Iterator[Reading]:
        """Yield how much distinct-2 of instructions and of answers fell."""
        return of_fall(document, "instruction_distinct_2", "output_distinct_2")
