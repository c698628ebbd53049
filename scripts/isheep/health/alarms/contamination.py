"""Alarm contamination."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from isheep.health.alarm import Alarm, Document, Reading


class Contamination(Alarm):
    """Data that holds an evaluation set's text."""

    at: float = Field(
        0.01, gt=0, le=1, description="Share of rows that share a sequence of the longest of `ngrams` with one file."
    )

    measure = "overlap"
    meaning = "{value} of rows share {what}"
    place = 11

    def read(self, document: Document) -> Iterator[Reading]:
        """Yield the share of rows that hold the longest sequences of each evaluation file."""
        for name, lengths in document["overlap"].items():
            if "error" in lengths:
                continue
            longest = max(lengths, key=int)
            yield lengths[longest]["share"]["value"], f"{longest} words with {name}"
