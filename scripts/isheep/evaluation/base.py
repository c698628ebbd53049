"""What benchmarks are made of: items, what to ask about them, metrics over all; and floors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol

from isheep.config.plain import PlainFormat
from isheep.data.conversations import Turn
from isheep.data.rows import Row
from isheep.serving.chat import plainly, seam
from isheep.serving.engines.base import Completion, Prompt, Request, Sampling, Score, ScoreRequest, Template

Answers = Mapping[str, Completion | Score]


@dataclass(frozen=True)
class Item:
    """One validated row of a benchmark's file; `id` is unique in the file."""

    id: str
    fields: Row


@dataclass(frozen=True)
class Ask:
    """One thing to ask a model about an item.

    Either `turns` (a conversation that ends with the user) or `text` (to be continued as it stands) is given. With
    `continuations` their log-likelihoods are asked for, else a completion drawn by `sampling`. `to` says who is asked.
    """

    key: str
    turns: tuple[Turn, ...] = ()
    text: str = ""
    sampling: Sampling | None = None
    continuations: tuple[str, ...] = ()
    to: Literal["model", "judge"] = "model"

    @property
    def last(self) -> str:
        """What the asker said last: the text that an echo repeats."""
        return self.turns[-1]["content"] if self.turns else self.text

    def prompt(self, template: Template | None, plain: PlainFormat) -> Prompt:
        """Return what the model is shown: by its chat template, or plainly when it was trained on none (`None`)."""
        if not self.turns:
            return Prompt(self.text, add_special_tokens=True)
        if template is not None:
            return template.render([dict(turn) for turn in self.turns])
        before = plain.before(self.turns[0]["content"])
        return Prompt(before + plainly(self.turns, plain), add_special_tokens=True)

    def request(self, id: str, template: Template | None, plain: PlainFormat, seed: int) -> Request | ScoreRequest:
        """Return the engine's request for this; `seed` decides what is drawn."""
        prompt = self.prompt(template, plain)
        if self.continuations:
            space = seam(template, None if template else plain) if self.turns else ""
            return ScoreRequest(id, prompt, tuple(f"{space}{text}" for text in self.continuations))
        assert self.sampling is not None, f"{id}: neither sampling nor continuations"
        stop = self.sampling.stop + (tuple(plain.stop) if self.turns and template is None else ())
        return Request(id, prompt, replace(self.sampling, stop=stop), seed)


@dataclass(frozen=True)
class Asked:
    """An ask with the id under which its answer is kept: BENCHMARK/ITEM/KEY (an item's own id may hold slashes)."""

    asks: ClassVar[str] = "complete"
    result = staticmethod(Request.result)

    id: str
    ask: Ask


@dataclass(frozen=True)
class Metric:
    """A number over a benchmark's items.

    Nearly every metric here is a ratio of two sums over items (a mean, a pooled accuracy, bits per byte), so each item
    brings a numerator and a denominator, of which intervals are made. The few that are not have a `statistic` of what
    all items bring. `value` is None when nothing counts.
    """

    value: float | None
    n: int
    unit: str
    better: Literal["higher", "lower", ""] = "higher"
    terms: Mapping[str, Any] = field(default_factory=dict)
    statistic: Callable[[list[Any]], float | None] | None = None


def ratio(
    terms: Iterable[tuple[str, float, float]], unit: str = "share", better: Literal["higher", "lower", ""] = "higher"
) -> Metric:
    """Return sum of numerators / sum of denominators; items with denominator 0 do not count.

    Parameters
    ----------
    terms
        Item id, numerator, denominator.
    """
    counted = {id: (float(above), float(below)) for id, above, below in terms if below}
    below = sum(pair[1] for pair in counted.values())
    value = sum(pair[0] for pair in counted.values()) / below if below else None
    return Metric(value, len(counted), unit, better, counted)


def whole(
    terms: Mapping[str, Any],
    statistic: Callable[[list[Any]], float | None],
    n: int,
    unit: str,
    better: Literal["higher", "lower", ""] = "higher",
) -> Metric:
    """Return a statistic of what all items bring, by their ids, that is no ratio of sums."""
    return Metric(statistic(list(terms.values())), n, unit, better, terms, statistic)


def mean(
    rows: Sequence[Row], name: str, unit: str = "share", better: Literal["higher", "lower", ""] = "higher"
) -> Metric:
    """Return the mean of one measure; rows where it is None do not count."""
    return ratio(
        ((row["id"], row[name], 1) for row in rows if row.get(name) is not None),
        unit,
        better,
    )


class Exam(Protocol):
    """What is asked and scored: a benchmark, one of its floors, or the calibration of a judge."""

    @property
    def name(self) -> str:
        """What its answers are kept under."""

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return what can be asked now, given the answers so far (by key); empty when all is answered."""

    def score(self, item: Item, answers: Answers) -> Row:
        """Return the item's measures, all JSON values."""

    def summarise(self, rows: Sequence[Row]) -> dict[str, Metric]:
        """Return the metrics over rows of `{"id": ..., **measures}`."""


def answered(
    benchmark: Exam, item: Item, answers: Answers, reply: Callable[[Ask], Completion | Score | None]
) -> dict[str, Completion | Score]:
    """Return `answers` with whatever `reply` gives to the open requests, wave after wave; None leaves one open."""
    known = dict(answers)
    while True:
        replies = {ask.key: reply(ask) for ask in benchmark.requests(item, known) if ask.key not in known}
        new = {key: answer for key, answer in replies.items() if answer is not None}
        if not new:
            return known
        known |= new


def written(answers: Answers, key: str) -> str:
    """Return the text that a model wrote; RuntimeError where log-likelihoods stand under this key."""
    answer = answers[key]
    if not isinstance(answer, Completion):
        raise RuntimeError(f"{key}: has log-likelihoods, no text")
    return answer.text


def said(text: str) -> Completion:
    """Return a completion of constant text, for floors and tests."""
    return Completion("", text, "stop", None, 0, 0)


FLOORS: dict[str, Callable[[str], str]] = {
    "empty": lambda question: "",
    "lol": lambda question: "lol",
    "echo": lambda question: question,
}
"""Answers that show no skill, made from the last thing asked."""


@dataclass(frozen=True)
class Floor:
    """A benchmark answered by a constant instead of a model and scored by the same code; judges are still asked.

    Log-likelihoods come from the model that gives each of the 256 byte values the same probability.
    """

    benchmark: Exam
    floor: str
    headline: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        """The benchmark's name and the floor's."""
        return f"{self.benchmark.name}.{self.floor}"

    def _reply(self, ask: Ask) -> Completion | Score | None:
        if ask.to == "judge":
            return None
        if ask.continuations:
            return uniform_bytes(ask.continuations)
        return said(FLOORS[self.floor](ask.last))

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return what the judge is still to be asked; the model is never asked."""
        return self.benchmark.requests(item, answered(self.benchmark, item, answers, self._reply))

    def score(self, item: Item, answers: Answers) -> Row:
        """Return the measures of the constant answer."""
        return self.benchmark.score(item, answered(self.benchmark, item, answers, self._reply))

    def summarise(self, rows: Sequence[Row]) -> dict[str, Metric]:
        """Return the benchmark's metrics."""
        return self.benchmark.summarise(rows)


def uniform_bytes(continuations: Sequence[str]) -> Score:
    """Return the log-likelihoods under the model to which all 256 byte values are equally likely: 8 bits a byte."""
    sizes = [len(text.encode("utf-8", "replace")) for text in continuations]
    return Score("", tuple(-5.545177444479562 * size for size in sizes), tuple(sizes))
