"""Stages evaluate_model and judge_answers: what every benchmark asks, wave after wave, and the answers as rows."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from isheep.config.evaluation import Evaluation
from isheep.config.plain import PlainFormat
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Answers, Asked, Exam, Item
from isheep.evaluation.benchmark import Benchmark
from isheep.runner.dispatch import Dispatcher, draw_seed
from isheep.runner.dispatch import Send as Answer
from isheep.runner.portable import without_place
from isheep.serving.engines.base import Completion, Score, Template

logger = logging.getLogger(__name__)
E = TypeVar("E", bound=Exam)
Place = tuple[str, str]
"""Benchmark and item."""
ADDRESS = re.compile(r"https?://\S+")  # tells a host: said in the log, never in an artifact
Send = Callable[[Sequence[Asked]], Mapping[str, Completion | Score]]


@dataclass(frozen=True)
class Loaded(Generic[E]):
    """What is asked and scored, and its items."""

    benchmark: E
    items: Sequence[Item]


def load(evaluation: Evaluation, judged_only: bool = False) -> tuple[dict[str, Loaded[Benchmark]], dict[str, str]]:
    """Return the benchmarks by name, and for those that cannot be used what is wrong with them, in a line.

    One that is broken (its data, a missing library) does not keep the others from being measured.
    """
    loaded: dict[str, Loaded[Benchmark]] = {}
    errors: dict[str, str] = {}
    for name, benchmark in evaluation.on.items():
        if judged_only and not benchmark.judged:
            continue
        try:
            loaded[name] = Loaded(benchmark, benchmark.load())
        except UserError as error:
            errors[name] = without_place(str(error), str(benchmark.data))
            logger.error("evaluation.benchmarks.%s is left out: %s", name, error)
    return loaded, errors


def with_rivals(
    benchmarks: Mapping[str, Loaded[Benchmark]], base: Mapping[Place, Answers]
) -> dict[str, Loaded[Benchmark]]:
    """Return the benchmarks with the base model's answers as rivals where that is asked for."""
    paired = dict(benchmarks)
    for name, loaded in benchmarks.items():
        if loaded.benchmark.against_base:
            texts = {item.id: base.get((name, item.id), {}).get("answer") for item in loaded.items}
            rivals = {id: answer.text for id, answer in texts.items() if isinstance(answer, Completion)}
            paired[name] = Loaded(loaded.benchmark, loaded.benchmark.against(loaded.items, rivals))
    return paired


def ask(
    benchmarks: Mapping[str, Loaded],
    to: Literal["model", "judge"],
    send: Send,
    known: Mapping[Place, Answers] | None = None,
    shard: tuple[int, int] = (0, 1),
) -> list[Row]:
    """Ask until nothing is open, and return the answers as rows, by benchmark, item and request.

    A wave holds what all benchmarks can ask now: one for single questions, another for each further turn. So an engine
    is filled by all of them together.

    Parameters
    ----------
    benchmarks
        By name.
    to
        Whose requests are sent.
    send
        Answers a wave, by id; what it leaves out stays unanswered.
    known
        Answers there are already.
    shard
        Which part of the items, of how many.
    """
    number, count = shard
    items = [(name, loaded, item) for name, loaded in benchmarks.items() for item in loaded.items][number::count]
    answers = {(name, item.id): dict((known or {}).get((name, item.id), {})) for name, _, item in items}
    sent: dict[str, Row] = {}
    tried: set[str] = set()
    while True:
        wave = [
            (name, item.id, asked)
            for name, loaded, item in items
            for asked in loaded.benchmark.requests(item, answers[name, item.id])
            if asked.to == to and f"{name}/{item.id}/{asked.key}" not in tried
        ]
        if not wave:
            return [sent[id] for id in _in_order(sent, items)]
        ids = [f"{name}/{item}/{asked.key}" for name, item, asked in wave]
        tried.update(ids)
        replies = send([Asked(id, asked) for id, (_, _, asked) in zip(ids, wave, strict=True)])
        for id, (name, item, asked) in zip(ids, wave, strict=True):
            if id in replies:
                answers[name, item][asked.key] = replies[id]
                sent[id] = _row(id, name, item, asked.key, asked.last, replies[id])


def _in_order(sent: Mapping[str, Row], items: Sequence[tuple[str, Loaded, Item]]) -> list[str]:
    place = {(name, item.id): number for number, (name, _, item) in enumerate(items)}
    return sorted(sent, key=lambda id: place[sent[id]["benchmark"], sent[id]["item"]])  # waves stay in order


def _row(id: str, name: str, item: str, key: str, prompt: str, reply: Completion | Score) -> Row:
    row = {"id": id, "benchmark": name, "item": item, "key": key, "prompt": prompt}
    if isinstance(reply, Completion):
        return row | {
            "text": reply.text,
            "finish_reason": reply.finish_reason,
            "stop_reason": reply.stop_reason,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
        }
    return row | {"log_likelihoods": list(reply.log_likelihoods), "tokens": list(reply.tokens)}


def answers_in(rows: Iterable[Row]) -> dict[Place, dict[str, Completion | Score]]:
    """Return the answers that `ask` wrote as rows, by benchmark, item and key."""
    by_place: dict[Place, dict[str, Completion | Score]] = {}
    for row in rows:
        if "text" in row:
            counts = (row["prompt_tokens"], row["completion_tokens"])
            reply: Completion | Score = Completion(
                row["id"], row["text"], row["finish_reason"], row["stop_reason"], *counts
            )
        else:
            reply = Score(row["id"], tuple(row["log_likelihoods"]), tuple(row["tokens"]))
        by_place.setdefault((row["benchmark"], row["item"]), {})[row["key"]] = reply
    return by_place


def templates(
    benchmarks: Mapping[str, Loaded[Benchmark]], template: Template, plain: PlainFormat | None
) -> Callable[[Asked], Template | None]:
    """Return the template through which a question is asked, by the format of its benchmark; None for the plain format.

    Parameters
    ----------
    benchmarks
        By name.
    template
        The model's.
    plain
        Its own format when it knows no template.
    """
    of_format = {"own": None if plain else template, "template": template, "plain": None}
    of_benchmark = {name: of_format[loaded.benchmark.format] for name, loaded in benchmarks.items()}
    return lambda question: of_benchmark[question.id.partition("/")[0]]


def to_engine(
    ask_engine: Answer, template_of: Callable[[Asked], Template | None], plain: PlainFormat, run_seed: int
) -> Send:
    """Return what sends a wave to an engine.

    What is drawn depends on the run's seed and the request alone, not on the round: two models that are compared are
    given the same draws.

    Parameters
    ----------
    ask_engine
        Answers requests, by id.
    template_of
        Through which template a question is asked; in the format `plain` where there is none.
    plain, run_seed
        The plain format; what draws follow from.
    """

    def send(wave: Sequence[Asked]) -> Mapping[str, Completion | Score]:
        requests = [
            question.ask.request(
                question.id, template_of(question), plain, draw_seed(run_seed, "evaluate_model", 0, question.id)
            )
            for question in wave
        ]
        return ask_engine(requests)

    return send


def to_endpoint(dispatcher: Dispatcher, failures: list[str]) -> Send:
    """Return what sends a wave to a judge's endpoint, which renders the conversation itself.

    When the endpoint fails, what it said before is kept and `failures` gets a line.
    """

    def send(wave: Sequence[Asked]) -> Mapping[str, Completion | Score]:
        try:
            return dispatcher.send(wave)
        except UserError as error:
            failures.append(ADDRESS.sub("at its endpoint", str(error)))
            logger.error("%s", error)
        return dispatcher.results(wave)

    return send


def tokens(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    """Return the tokens read, written and scored for each benchmark."""
    by_benchmark: dict[str, dict[str, int]] = {}
    for row in rows:
        counts = by_benchmark.setdefault(row["benchmark"], {"prompt": 0, "completion": 0, "scored": 0})
        if "text" in row:
            counts["prompt"] += row["prompt_tokens"]
            counts["completion"] += row["completion_tokens"]
        else:
            counts["scored"] += sum(row["tokens"])
    return by_benchmark
