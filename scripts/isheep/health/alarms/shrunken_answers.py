"""Alarm shrunken_answers."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from isheep.health.alarm import Alarm, Document, Reading


class ShrunkenAnswers(Alarm):
    """Answers get shorter and shorter."""

    at: float = Field(5.0, gt=1, description="The median answer is this many times shorter than in d_0 (words).")

    measure = "lengths"
    meaning = "the median answer has {value} times fewer words than in d_0"
    in_percent = False
    place = 1

    def read(self, document: Document) -> Iterator[Reading]:
        """Yield how many times shorter the median answer is than in d_0."""
        ratio = document["change"].get("output_words", {}).get("value")
        yield (1 / ratio if ratio else None), ""
