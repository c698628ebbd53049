"""Rows for the browser of samples: a sample that follows from their ids, cut, packed, and harmless inside HTML."""

from __future__ import annotations

import heapq
import json
from hashlib import sha256
from itertools import count
from typing import Any

from isheep.records import SURROGATE, Row

TEXTS = ("instruction", "input", "output")
# Known to the browser by other names, or of no use to a reader.
APART = frozenset((*TEXTS, "id", "round", "rule"))
# Inside <script> these could end the block or start a comment; two are line ends to JavaScript but not to JSON.
UNSAFE = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


class Samples:
    """At most `limit` rows of a run: those with the smallest sha256 of their ids, whatever the order they come in.

    Parameters
    ----------
    limit
        Rows that are kept; memory does not grow beyond them.
    characters
        Longer texts are cut to so many.
    assessors
        Columns of scores.
    """

    def __init__(self, limit: int, characters: int, assessors: tuple[str, ...]) -> None:
        self.limit = limit
        self.characters = characters
        self.assessors = assessors
        self.total = 0
        self._heap: list[tuple[int, int, dict[str, Any]]] = []
        self._order = count()

    def offer(self, i: int, stage: str, row: Row, kept: bool) -> None:
        """Take a row or leave it."""
        self.total += 1
        key = -int.from_bytes(sha256(f"{stage}/{row.get('id')}".encode(errors="replace")).digest()[:8])
        if self.limit and (len(self._heap) < self.limit or key > self._heap[0][0]):
            push = heapq.heappush if len(self._heap) < self.limit else heapq.heapreplace
            push(self._heap, (key, next(self._order), self._packed(i, stage, row, kept)))

    def _packed(self, i: int, stage: str, row: Row, kept: bool) -> dict[str, Any]:
        more = {key: value for key, value in row.items() if key not in APART and key not in self.assessors}
        return {
            "id": self._cut(row.get("id")),
            "round": i,
            "stage": stage,
            "rule": "" if kept else str(row.get("rule", "")),
            "texts": [self._cut(row.get(name, "")) for name in TEXTS],
            "scores": [row.get(name) for name in self.assessors],
            "more": {key: value if isinstance(value, int | float) else self._cut(value) for key, value in more.items()},
        }

    def _cut(self, value: Any) -> str:
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            value = ", ".join(value)
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
        left = len(text) - self.characters
        return f"{text[: self.characters]} [{left:,} more characters]" if left > 0 else text

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows, by round, stage and id."""
        found = [row for _, _, row in self._heap]
        return sorted(found, key=lambda row: (row["round"], row["id"], row["stage"]))

    def packed(self) -> dict[str, Any]:
        """Return the rows as lists, with stages, rules and names of further fields told once."""
        rows = self.rows
        stages = list(dict.fromkeys(row["stage"] for row in rows))
        rules = sorted({row["rule"] for row in rows if row["rule"]})
        more = list(dict.fromkeys(key for row in rows for key in row["more"]))
        places = {rule: place for place, rule in enumerate(rules)}
        return {
            "total": self.total,
            "scores": list(self.assessors),
            "stages": stages,
            "rules": rules,
            "more": more,
            "rows": [
                [
                    *(row["id"], row["round"], stages.index(row["stage"]), places.get(row["rule"], -1)),
                    *(*row["texts"], row["scores"], [row["more"].get(key) for key in more]),
                ]
                for row in rows
            ],
        }


def embed(value: Any) -> str:
    """Return JSON that is safe inside a <script> element: nothing in it ends the element or starts a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return SURROGATE.sub("\ufffd", text).translate(UNSAFE)
