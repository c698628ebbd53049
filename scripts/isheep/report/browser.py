"""What a page's browser shows: entries chosen by a hash of their names, packed, and harmless inside HTML."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import Any, Generic, TypedDict, TypeVar

from isheep.data.files import SURROGATE

Made = TypeVar("Made")
# Inside <script> these could end the block or start a comment; two are line ends to JavaScript but not to JSON.
UNSAFE = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Column:
    """What one of several has to show under a card's texts: its name, result in words and tone, score, texts, more."""

    title: str
    result: str
    tone: str
    score: float | None
    texts: Sequence[tuple[str, str]]
    more: Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """One card of a browser.

    Parameters
    ----------
    id
        Stands on the card and can be searched.
    choices
        For each filter by its name the option that the entry belongs to; "" where it has none.
    texts
        (name, text) in the order of reading.
    scores, more
        Numbers that entries can be ordered by; whatever else is known.
    columns
        What stands side by side under the texts.
    """

    id: str
    choices: Mapping[str, str]
    texts: Sequence[tuple[str, str]]
    scores: Mapping[str, Any]
    more: Mapping[str, Any]
    columns: Sequence[Column] = ()


class Sample(Generic[Made]):
    """At most `limit` of what is offered: those whose names have the smallest sha256, whatever the order they come in.

    Memory does not grow beyond them.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self._heap: list[tuple[int, int, str, Made]] = []
        self._order = count()

    def offer(self, name: str, make: Callable[[], Made], label: str = "") -> None:
        """Take what `make` returns, or leave it; `label` is given back with it."""
        self.total += 1
        key = -int.from_bytes(sha256(name.encode(errors="replace")).digest()[:8])
        if self.limit and (len(self._heap) < self.limit or key > self._heap[0][0]):
            push = heapq.heappush if len(self._heap) < self.limit else heapq.heapreplace
            push(self._heap, (key, next(self._order), label, make()))

    @property
    def entries(self) -> list[Made]:
        """What was taken, in no particular order."""
        return [made for *_, made in self._heap]

    @property
    def named(self) -> list[tuple[str, Made]]:
        """What was taken, with the labels under which it was offered."""
        return [(label, made) for *_, label, made in self._heap]


class Filter(TypedDict):
    """A filter of a browser: its options, and for each whether it is good or bad news ("" for neither)."""

    name: str
    options: list[str]
    tones: list[str]


class Packed(TypedDict):
    """Entries for a browser.

    A row is [id, options by number, [[text's number, text]], scores, further fields, columns], and a column [name,
    result, tone, score, [[name, text]], [[name, value]]].
    """

    total: int
    filters: list[Filter]
    scores: list[str]
    texts: list[str]
    more: list[str]
    rows: list[list[Any]]


def cut(value: Any, characters: int) -> str:
    """Return a value as a text of at most so many characters; one that is longer says how much is left out."""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = ", ".join(value)
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    left = len(text) - characters
    return f"{text[:characters]} [{left:,} more characters]" if left > 0 else text


def fields(values: Mapping[str, Any], characters: int) -> dict[str, Any]:
    """Return further fields of an entry: numbers as they are, everything else as text."""
    return {key: value if isinstance(value, int | float) else cut(value, characters) for key, value in values.items()}


def packed(
    entries: Sequence[Entry], total: int, filters: Iterable[str], tones: Mapping[str, str], scores: Iterable[str] = ()
) -> Packed:
    """Return entries as lists; options, and names of texts, scores and further fields are told once.

    Parameters
    ----------
    entries
        In the order in which they are shown.
    total
        How many there were before a sample was taken.
    filters
        Names of the filters, in order.
    tones
        Options that are good or bad news.
    scores
        Names of the scores, in order.
    """
    columns = list(scores)
    options = {name: list(dict.fromkeys(e.choices[name] for e in entries if e.choices[name])) for name in filters}
    places = {name: {option: place for place, option in enumerate(values)} for name, values in options.items()}
    names = list(dict.fromkeys(name for entry in entries for name, _ in entry.texts))
    more = list(dict.fromkeys(key for entry in entries for key in entry.more))
    return {
        "total": total,
        "filters": [
            {"name": name, "options": values, "tones": [tones.get(option, "") for option in values]}
            for name, values in options.items()
        ],
        "scores": columns,
        "texts": names,
        "more": more,
        "rows": [
            [
                entry.id,
                [places[name].get(entry.choices[name], -1) for name in options],
                [[names.index(name), text] for name, text in entry.texts],
                [entry.scores.get(name) for name in columns],
                [entry.more.get(key) for key in more],
                [_listed(column) for column in entry.columns],
            ]
            for entry in entries
        ],
    }


def _listed(column: Column) -> list[Any]:
    texts, more = ([list(pair) for pair in pairs] for pairs in (column.texts, column.more.items()))
    return [column.title, column.result, column.tone, column.score, texts, more]


def embed(value: Any) -> str:
    """Return JSON that is safe inside a <script> element: nothing in it ends the element or starts a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return SURROGATE.sub("\ufffd", text).translate(UNSAFE)
