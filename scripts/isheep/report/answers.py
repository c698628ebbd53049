"""What models answered in benchmarks, side by side under one prompt: what was scored, against what, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from isheep.data.rows import Row
from isheep.documents.models import BenchmarkScores
from isheep.report.browser import Column, Entry, Packed, Sample, cut, fields, packed

FULL, PART, NONE = "full marks", "part marks", "no marks"
TONES = {FULL: "good", NONE: "bad"}
ROSE, FELL, SAME = "better than the base", "worse than the base", "as the base"
Place = tuple[str, str]
"""Benchmark and item."""


@dataclass(frozen=True)
class Side:
    """What one model made of an item; `gain` is its score to the better side."""

    prompts: list[str]
    beside: Mapping[str, str]
    column: Column
    score: float | None
    gain: float | None


class Answers:
    """A sample of the benchmarks' items, the same ones for every model, with each model's answers.

    Parameters
    ----------
    limit
        Items of a benchmark that are kept.
    characters
        Longer texts are cut to so many.
    scored
        By benchmark: what its first metric scores, in words.
    """

    def __init__(self, limit: int, characters: int, scored: Mapping[str, str] | None = None) -> None:
        self.limit = limit
        self.characters = characters
        self.scored = scored or {}
        self.metrics: dict[str, str] = {}  # by benchmark: what a score is of
        self._samples: dict[tuple[str, int], Sample[Side]] = {}

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
            make = partial(self._side, i, every, measured.get(place), scores.get(benchmark))
            sample.offer(f"{benchmark}/{item}", make, item)
        for name, scored in scores.items():
            if (name, i) in self._samples and scored["headline"]:
                self.metrics[name] = scored["headline"][0]

    def _side(self, i: int, rows: list[Row], measured: Row | None, scored: BenchmarkScores | None) -> Side:
        score = measured["score"] if measured else None
        more = dict(measured["measures"]) if measured else {}
        texts: list[tuple[str, str]] = []
        prompts: list[str] = []
        for row in rows:
            name = row["key"].replace("-", " ")
            is_judge = name.startswith("judge")  # what a judge is shown repeats all of it
            if not is_judge and row["prompt"] not in prompts:
                prompts.append(row["prompt"])
            if "text" not in row:
                more[name] = [round(value, 3) for value in row["log_likelihoods"]]
                continue
            ended = "" if row["finish_reason"] == "stop" else f" ({row['finish_reason']})"
            whose = "the judge's words" if is_judge else "its answer"
            number = name.removeprefix("judge").strip() if is_judge else name.removeprefix("answer").strip()
            label = f"{whose}{f', {number}' if number else ''}{ended}"
            texts.append((label, cut(row["text"], self.characters)))
        result = _result(score, scored)
        column = Column(f"iter_{i}", result, TONES.get(result, ""), score, texts, fields(more, self.characters))
        beside = measured.get("beside", {}) if measured else {}
        return Side(prompts, beside, column, score, _gain(score, scored))

    def entries(self) -> list[Entry]:
        """Return a card for each item, by benchmark and item, the models' answers beside one another."""
        order = {benchmark: place for place, (benchmark, _) in enumerate(self._samples)}
        sides: dict[tuple[int, str, str], dict[int, Side]] = {}
        for (benchmark, i), sample in self._samples.items():
            for item, side in sample.named:
                sides.setdefault((order[benchmark], benchmark, item), {})[i] = side
        return [self._entry(benchmark, item, sides[place]) for place in sorted(sides) for _, benchmark, item in [place]]

    def _entry(self, benchmark: str, item: str, sides: Mapping[int, Side]) -> Entry:
        last = sides[max(sides)]
        prompts = list(dict.fromkeys(text for side in sides.values() for text in side.prompts))
        numbered = [("prompt" if n == 1 else f"prompt {n}", text) for n, text in enumerate(prompts, start=1)]
        beside = {name: text for side in sides.values() for name, text in side.beside.items()}
        what = [("scored is", self.scored[benchmark])] if benchmark in self.scored else []
        return Entry(
            id=cut(item, self.characters),
            choices={"benchmark": benchmark, "last model": _moved(sides[min(sides)].gain, last.gain)},
            texts=[(name, cut(text, self.characters)) for name, text in (*numbered, *beside.items(), *what)],
            scores={side.column.title: side.score for side in sides.values()},
            more={},
            columns=[side.column for _, side in sorted(sides.items())],
        )

    def packed(self) -> Packed:
        """Return the answers for the page."""
        totals: dict[str, int] = {}
        for (benchmark, _), sample in self._samples.items():
            totals[benchmark] = max(totals.get(benchmark, 0), sample.total)
        models = dict.fromkeys(f"iter_{i}" for _, i in sorted(self._samples, key=lambda place: place[1]))
        tones = {ROSE: "good", FELL: "bad"}
        return packed(self.entries(), sum(totals.values()), ("benchmark", "last model"), tones, models)


def _place(row: Row) -> Place:
    return row["benchmark"], row["item"]


def _first(scored: BenchmarkScores | None) -> Any:
    """Return the metric that an item's score is of, where it counts."""
    if scored is None or not scored["counts"] or not scored["headline"]:
        return None
    return scored["metrics"].get(scored["headline"][0])


def _result(score: float | None, scored: BenchmarkScores | None) -> str:
    """Return in words what an item scored, where its benchmark counts and its first metric is a share to be raised."""
    first = _first(scored)
    if score is None or first is None or (first["unit"], first["better"]) != ("share", "higher"):
        return ""
    return FULL if score == 1 else NONE if score == 0 else PART


def _gain(score: float | None, scored: BenchmarkScores | None) -> float | None:
    first = _first(scored)
    if score is None or first is None or not first["better"]:
        return None
    return score if first["better"] == "higher" else -score


def _moved(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return ""
    return ROSE if after > before else FELL if after < before else SAME
