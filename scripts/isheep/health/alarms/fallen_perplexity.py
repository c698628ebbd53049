"""Alarm fallen_perplexity."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from isheep.health.alarm import Alarm, Document, Reading, of_fall


class FallenPerplexity(Alarm):
    """The data concentrates on what the base model finds likely anyway: a sign of collapse."""

    at: float = Field(0.5, gt=0, le=1, description="Share of d_0's perplexity under the base model that is lost.")

    measure = "probe"
    meaning = "{what} under the base model is {value} lower than in d_0"
    place = 8

    def read(self, document: Document) -> Iterator[Reading]:
        """Yield how much the perplexity under the base model fell."""
        return of_fall(document, "perplexity")
