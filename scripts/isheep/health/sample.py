"""The rows that costly measures look at: always the same ones."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from isheep.data.files import digest
from isheep.data.rows import Row


def draw(rows: Iterable[Row], size: int) -> list[Row]:
    """Return the `size` rows whose ids have the smallest hashes, smallest first.

    A smaller sample is the beginning of a larger one, and rows that come or go change nothing but themselves. Streams:
    no more than `size` rows are held.
    """
    return heapq.nsmallest(size, rows, key=lambda row: (digest(row["id"]), row["id"]))
