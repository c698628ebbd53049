"""Alarm at_token_limit."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from isheep.health.alarm import Alarm, Document, Reading, of_generated


class AtTokenLimit(Alarm):
    """Answers run on until they are cut."""

    at: float = Field(0.5, gt=0, le=1, description="Share of all answers that were cut at the token limit.")

    measure = "lengths"
    meaning = "{value} of all answers were cut at the token limit"
    place = 2

    def read(self, document: Document) -> Iterator[Reading]:
        """Yield the share of answers that did not end by themselves."""
        return of_generated(document, "share_at_limit")
