"""What models answered in benchmarks, for the page's browser: prompts, answers, and what each item scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import groupby

from isheep.data.rows import Row
from isheep.documents.models import BenchmarkScores
from isheep.report.browser import Entry, Packed, Sample, cut, fields, packed

FULL, PART, NONE = "full marks", "part marks", "no marks"
TONES = {FULL: "good", NONE: "bad"}
Place = tuple[str, str]
"""Benchmark and item."""


class Answers:
    """A sample of the benchmarks' items, the same ones for every model, with each model's answers.

    Parameters
    ----------
    limit
        Items of a benchmark that are kept.
    characters
        Longer texts are cut to so many.
    """

    def __init__(self, limit: int, characters: int) -> None:
        self.limit = limit
        self.characters = characters
        self.metrics: dict[str, str] = {}  # by benchmark: what a score is of
        self._samples: dict[tuple[str, int], Sample] = {}

    def add(
        self,
        i: int,
        scores: Mapping[str, BenchmarkScores],
        answers: Iterable[Row],
        judgements: Iterable[Row],
        measures: Iterable[Row],
    ) -> None:
        """Take a model's answers.

        Parameters
        ----------
        i
            Of iter_i.
        scores
            Its scores by benchmark.
        answers
            In the order in which evaluate_model wrote them: those to one item stand together.
        judgements, measures
            What the judge said of them; what the items scored.
        """
        said: dict[Place, list[Row]] = {}
        for row in judgements:
            said.setdefault(_place(row), []).append(row)
        measured = {_place(row): row for row in measures}
        for place, rows in groupby(answers, key=_place):
            benchmark, item = place
            sample = self._samples.setdefault((benchmark, i), Sample(self.limit))
            every = [*rows, *said.get(place, ())]
            make = partial(self._entry, i, place, every, measured.get(place), scores.get(benchmark))
            sample.offer(f"{benchmark}/{item}", make)
        for name, scored in scores.items():
            if (name, i) in self._samples and scored["headline"]:
                self.metrics[name] = scored["headline"][0]

    def _entry(
        self, i: int, place: Place, rows: list[Row], measured: Row | None, scored: BenchmarkScores | None
    ) -> Entry:
        benchmark, item = place
        score = measured["score"] if measured else None
        texts: list[tuple[str, str]] = []
        more = dict(measured["measures"]) if measured else {}
        asked = None
        for row in rows:
            name = row["key"].replace("-", " ")
            if "text" not in row:
                more[name] = [round(value, 3) for value in row["log_likelihoods"]]
                continue
            if not name.startswith("judge") and row["prompt"] != asked:  # what a judge is shown repeats all of it
                asked = row["prompt"]
                texts.append(("prompt", cut(asked, self.characters)))
            ended = "" if row["finish_reason"] == "stop" else f" ({row['finish_reason']})"
            texts.append((f"{name}{ended}", cut(row["text"], self.characters)))
        return Entry(
            id=cut(item, self.characters),
            choices={"benchmark": benchmark, "model": f"iter_{i}", "result": _result(score, scored)},
            texts=texts,
            scores={"score": score},
            more=fields(more, self.characters),
        )

    def packed(self) -> Packed:
        """Return the answers for the page, by benchmark and item, the models' answers to one item together."""
        order = {benchmark: place for place, (benchmark, _) in enumerate(self._samples)}
        chosen = [
            (order[name], entry.id, i, entry) for (name, i), item in self._samples.items() for entry in item.entries
        ]
        entries = [entry for *_, entry in sorted(chosen, key=lambda item: item[:3])]
        total = sum(sample.total for sample in self._samples.values())
        return packed(entries, total, ("benchmark", "model", "result"), TONES, ("score",))


def _place(row: Row) -> Place:
    return row["benchmark"], row["item"]


def _result(score: float | None, scored: BenchmarkScores | None) -> str:
    """Return in words what an item scored, where its benchmark counts and its first metric is a share to be raised."""
    if score is None or scored is None or not scored["counts"] or not scored["headline"]:
        return ""
    first = scored["metrics"].get(scored["headline"][0])
    if first is None:
        return ""
    if (first["unit"], first["better"]) != ("share", "higher"):
        return ""
    return FULL if score == 1 else NONE if score == 0 else PART
