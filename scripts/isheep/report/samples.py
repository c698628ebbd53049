"""Rows of a run for the page's browser: kept, or rejected by a rule of a stage."""

from __future__ import annotations

from collections.abc import Sequence

from isheep.data.conversations import history, transcript
from isheep.data.rows import Row
from isheep.report.browser import Entry, Packed, Sample, cut, fields, packed

TEXTS = ("instruction", "input", "output", "rejected")
# Known to the browser by other names, or of no use to a reader.
# The chosen answer of a pair is its output.
APART = frozenset((*TEXTS, "history", "id", "round", "rule", "chosen"))
TONES = {"kept": "good", "rejected": "bad"}


class Samples:
    """A sample of a run's rows.

    Parameters
    ----------
    limit
        Rows that are kept.
    characters
        Longer texts are cut to so many.
    assessors
        Columns of scores.
    """

    def __init__(self, limit: int, characters: int, assessors: tuple[str, ...]) -> None:
        self.characters = characters
        self.assessors = assessors
        self._sample: Sample[Entry] = Sample(limit)

    @property
    def total(self) -> int:
        """Rows that were offered."""
        return self._sample.total

    def offer(self, i: int, stage: str, row: Row, kept: bool, way: Sequence[str] = ()) -> None:
        """Take a row that ended in a stage, or leave it; `way` names the stages that it went through, this the last."""
        self._sample.offer(f"{stage}/{row.get('id')}", lambda: self._entry(i, stage, row, kept, way))

    def _entry(self, i: int, stage: str, row: Row, kept: bool, way: Sequence[str]) -> Entry:
        texts = [(name, cut(row.get(name, ""), self.characters)) for name in TEXTS]
        spoken = history(row)
        before = [("earlier turns", cut(transcript(spoken), self.characters))] if spoken else []
        return Entry(
            id=cut(row.get("id"), self.characters),
            choices={
                "round": f"d_{i}",
                "fate": "kept" if kept else "rejected",
                "stage": stage,
                "rule": "" if kept else cut(row.get("rule"), self.characters),
            },
            texts=[*before, *((name, text) for name, text in texts if text or name == "instruction"), *_way(way, kept)],
            scores={name: row.get(name) for name in self.assessors},
            more=fields(
                {key: row[key] for key in row if key not in APART and key not in self.assessors}, self.characters
            ),
        )

    def entries(self) -> list[Entry]:
        """Return the rows by round, id and stage."""
        return sorted(self._sample.entries, key=_order)

    def packed(self) -> Packed:
        """Return the rows for the page, by round, id and stage."""
        return packed(self.entries(), self.total, ("round", "fate", "stage", "rule"), TONES, self.assessors)


def _way(way: Sequence[str], kept: bool) -> list[tuple[str, str]]:
    if not way:
        return []
    passed = " \N{RIGHTWARDS ARROW} ".join(way if kept else way[:-1])
    ended = "" if kept else f"{', then ' if passed else ''}rejected by {way[-1]}"
    return [("way", f"{passed}{ended}")]


def _order(entry: Entry) -> tuple[int, str, str]:
    return int(entry.choices["round"].removeprefix("d_")), entry.id, entry.choices["stage"]
