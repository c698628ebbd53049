"""Requests and tokens of each stage of a round, as far as settings tell; what they leave open is assumed here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isheep.config.run import Run

# Means of texts, in tokens: of small models' runs here, and of Alpaca-like seeds.
INSTRUCTION = 45
SHOT = 60
RUBRIC = 220
ITEM = 120
# Shares: of written tasks that stay, of the limit that an answer takes, of answers that pass the rules.
KEPT_TASKS = 0.6
ANSWER_SHARE = 0.5
KEPT_ANSWERS = 0.75
SELECTED = 0.5
ITEMS = 500  # of a data file that is not there yet


@dataclass(frozen=True)
class Work:
    """What a stage does in one round: requests, tokens that it reads, writes and trains on."""

    requests: int = 0
    read: int = 0
    written: int = 0
    trained: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.requests + other.requests,
            self.read + other.read,
            self.written + other.written,
            self.trained + other.trained,
        )


def of_stage(stage: str, run: Run, i: int) -> Work:
    """Return the work of a stage in round `i`; nothing for one that asks no model or is not known here."""
    return STAGES[stage](run, i) if stage in STAGES else Work()


def answer(run: Run) -> int:
    """Return the tokens of an answer, about."""
    return round(ANSWER_SHARE * run.outputs.sampling.max_tokens)


def answers(run: Run) -> int:
    """Return the answers of a round."""
    return run.prompts.rows * run.outputs.samples


def selected(run: Run) -> int:
    """Return the rows of d_i, about."""
    kept = round(KEPT_ANSWERS * answers(run))
    share, k = getattr(run.select, "share", None), getattr(run.select, "k", None)
    none = run.select.kind == "none"
    return min(kept, k) if k else round(kept * (1 if none else share or SELECTED))


def _prompts(run: Run, i: int) -> Work:
    source = run.prompts
    if not source.asks:
        return Work()
    requests = math.ceil(source.rows / source.most_per_request / KEPT_TASKS)
    shots = getattr(source, "shots", getattr(source, "human", 0))
    sampling = getattr(source, "sampling", None)
    limit = sampling.max_tokens if sampling else INSTRUCTION
    written = min(limit, source.most_per_request * INSTRUCTION)
    return Work(requests, requests * (SHOT * (shots + 1)), requests * written)


def _classify(run: Run, i: int) -> Work:
    return Work(run.prompts.rows, run.prompts.rows * RUBRIC)


def _outputs(run: Run, i: int) -> Work:
    shots = getattr(run.outputs, "shots", 0) if not run.model.chat and i == 0 else 0
    count = answers(run)
    return Work(count, count * (INSTRUCTION + shots * 3 * SHOT), count * answer(run))


def _assess(run: Run, i: int) -> Work:
    rows = round(KEPT_ANSWERS * answers(run)) + 2 * run.assess.discrimination.pairs
    total = Work()
    for assessor in run.assess.assessors:
        asked = 2 if assessor.kind == "pmi" else 1
        shown = (RUBRIC if hasattr(assessor, "rubric") else 0) + INSTRUCTION + answer(run)
        sampling = getattr(assessor, "sampling", None) if getattr(assessor, "method", None) == "sampled" else None
        total += Work(rows * asked, rows * asked * shown, rows * sampling.max_tokens // 2 if sampling else 0)
    return total


def _embed(run: Run, i: int) -> Work:
    rows = round(KEPT_ANSWERS * answers(run))
    return Work(rows, rows * (INSTRUCTION + answer(run)))


def _pair(run: Run, i: int) -> Work:
    pairs = run.prompts.rows * (run.outputs.samples // 2 or 1) * getattr(run.pairs, "per_pair", 0)
    return Work(2 * pairs, 2 * pairs * (RUBRIC + INSTRUCTION + 2 * answer(run)))


def _probe(run: Run, i: int) -> Work:
    rows = min(run.health.sample, selected(run))
    return Work(rows, rows * (INSTRUCTION + answer(run)))


def _train(run: Run, i: int) -> Work:
    """Return the tokens of all passes; `train.data` may join the rows of several rounds."""
    rounds = {"current": 1, "all": i, "last_two": min(2, i)}[run.train.data]
    rows = min(selected(run) * rounds, run.train.max_rows or selected(run) * rounds)
    length = min(run.train.max_length, INSTRUCTION + answer(run))
    models = 2 if run.train.objective == "dpo" else 1  # a pair is two texts
    return Work(0, 0, 0, round(rows * (1 - run.train.heldout_share) * run.train.epochs * length * models))


def _merge(run: Run, i: int) -> Work:
    count = run.merge.probe_prompts
    return Work(count, count * 2 * (INSTRUCTION + run.merge.probe_tokens), count * run.merge.probe_tokens)


def _evaluate(run: Run, i: int) -> Work:
    return _items(run, run.evaluation.on.values())


def _judge(run: Run, i: int) -> Work:
    judged = [benchmark for benchmark in run.evaluation.on.values() if benchmark.judged]
    asked = _items(run, judged)
    return Work(asked.requests, asked.read + asked.written + asked.requests * RUBRIC, asked.requests * RUBRIC)


def _items(run: Run, benchmarks: Iterable[Any]) -> Work:
    total = Work()
    for benchmark in benchmarks:
        count = min(filter(None, (benchmark.limit, _lines(benchmark.path))))
        samples = getattr(benchmark, "samples", 1)
        limit = getattr(benchmark, "max_tokens", 256)
        total += Work(count * samples, count * samples * ITEM, round(count * samples * limit * ANSWER_SHARE))
    return total


def _lines(file: str | None) -> int:
    try:
        with open(Path(file or ""), "rb") as lines:
            return sum(1 for line in lines if line.strip())
    except OSError:
        return ITEMS


STAGES: dict[str, Callable[[Run, int], Work]] = {
    "generate_prompts": _prompts,
    "classify_prompts": _classify,
    "generate_outputs": _outputs,
    "assess_outputs": _assess,
    "cluster_outputs": _embed,
    "pair_answers": _pair,
    "probe_data": _probe,
    "train_adapter": _train,
    "merge_model": _merge,
    "evaluate_model": _evaluate,
    "judge_answers": _judge,
}
