"""Stage score_model: every benchmark's metrics, with floors, intervals, and differences to the base and before."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from isheep.config.evaluation import Evaluation
from isheep.data.rows import Row
from isheep.documents.models import BenchmarkScores, Floors, ModelScores, PlainScore
from isheep.errors import UserError
from isheep.evaluation import harness, stage
from isheep.evaluation.base import FLOORS, Answers, Exam, Floor, Item, Metric
from isheep.evaluation.benchmark import Benchmark
from isheep.evaluation.intervals import table
from isheep.evaluation.stage import Loaded, Place

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Earlier:
    """What another model got: the items' measures, and lm-eval's results, if any."""

    items: Sequence[Row] = ()
    harness: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Measured:
    """What there is to score of one model.

    Parameters
    ----------
    round
        Of iter_i; 0 is the base.
    answers
        Rows of the model's answers.
    base_answers
        The base model's, as rivals.
    judgements
        Rows of the judge's replies.
    judging, calibration
        What judge_answers and calibrate_judge report.
    harness
        lm-eval's results, or what went wrong with them.
    earlier
        "base" and "previous": what they got.
    base_scores
        The base model's scores, whose floors hold for every model.
    """

    round: int
    answers: Sequence[Row] = ()
    base_answers: Sequence[Row] = ()
    judgements: Sequence[Row] = ()
    judging: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    harness: Mapping[str, Any] | None = None
    earlier: Mapping[str, Earlier] = field(default_factory=dict)
    base_scores: ModelScores | None = None


def score(evaluation: Evaluation, measured: Measured, workers: int = 1) -> tuple[ModelScores, list[Row]]:
    """Return the scores of one model, and the measures of every item as rows.

    Parameters
    ----------
    evaluation
        The section of the settings.
    measured
        Answers and what they are compared with.
    workers
        Programs in the sandbox at a time.
    """
    benchmarks, errors = stage.load(evaluation)
    if measured.round:
        benchmarks = stage.with_rivals(benchmarks, stage.answers_in(measured.base_answers))
    answers = stage.answers_in([*measured.answers, *measured.judgements])
    tokens = stage.tokens([*measured.answers, *measured.judgements])
    scores: dict[str, BenchmarkScores] = {}
    rows: list[Row] = []
    for name, entry in evaluation.on.items():
        scored = _unscored(entry.kind, errors.get(name), tokens.get(name))
        if name in benchmarks:
            try:
                rows += _score_one(name, benchmarks[name], answers, measured, scored, workers)
            except UserError as error:
                scored["error"] = str(error)
                logger.error("evaluation.benchmarks.%s has no scores: %s", name, error)
        scores[name] = scored
    if measured.harness is not None and evaluation.harness is not None:
        scores |= {f"harness/{task}": _harness(task, measured) for task in evaluation.harness.tasks}
    return {"round": measured.round, "benchmarks": scores}, rows


def _score_one(
    name: str,
    loaded: Loaded[Benchmark],
    answers: Mapping[Place, Answers],
    measured: Measured,
    scored: BenchmarkScores,
    workers: int,
) -> list[Row]:
    """Fill in a benchmark's scores and return the measures of its items."""
    benchmark = loaded.benchmark
    if benchmark.against_base and measured.round == 0:
        scored["note"] = "the base is the rival: compared from iter_1 on"
        return []
    if benchmark.form:
        _calibrated(benchmark.form, measured, scored)
    done = _complete(benchmark, loaded.items, {item.id: answers.get((name, item.id), {}) for item in loaded.items})
    scored["items"] = len(done)
    if not done:
        scored["error"] = measured.judging.get("error") or "no item was answered"
        return []
    if len(done) < len(loaded.items):
        why = measured.judging.get("error") or "not answered"
        scored["error"] = f"{len(loaded.items) - len(done)} of {len(loaded.items)} items left out: {why}"
    workers = workers if benchmark.sandboxed else 1
    rows = _measures(benchmark, done, {item.id: answers[name, item.id] for item in done}, workers)
    earlier = {
        other: benchmark.summarise([_measured(row) for row in theirs.items if row["benchmark"] == name])
        for other, theirs in measured.earlier.items()
        if any(row["benchmark"] == name for row in theirs.items)
    }
    metrics = benchmark.summarise(rows)
    scored["headline"] = [metric.format(name=name) for metric in benchmark.headline]
    scored["metrics"] = table(metrics, earlier)
    scored["groups"] = {group: plain(metrics) for group, metrics in benchmark.groups(rows).items()}
    if benchmark.judged:
        scored["floors"] = measured.calibration.get("floors", {}).get(name, {})
    elif measured.base_scores:
        scored["floors"] = _floors_of_base(measured.base_scores, name)
    else:
        scored["floors"] = {
            floor: plain(metrics) for floor, metrics in floors(benchmark, loaded.items, workers).items()
        }
    scored["floors"] = {
        floor: {name: value for name, value in told.items() if name not in benchmark.manner}
        for floor, told in scored["floors"].items()
    }
    terms = metrics[scored["headline"][0]].terms
    beside = {item.id: benchmark.beside(item) for item in done}
    return [
        {
            "id": f"{name}/{row['id']}",
            "benchmark": name,
            "item": row["id"],
            "score": _ratio(terms.get(row["id"])),
            "beside": beside[row["id"]],
            "measures": {key: value for key, value in row.items() if key != "id"},
        }
        for row in rows
    ]


def _floors_of_base(scores: ModelScores, benchmark: str) -> Floors:
    entry = scores["benchmarks"].get(benchmark)
    return entry["floors"] if entry else {}


def _ratio(terms: tuple[float, float] | None) -> float | None:
    """Return what an item brings to the first metric of its benchmark; None when it does not count there."""
    return terms[0] / terms[1] if terms else None


def _measured(row: Row) -> Row:
    return {"id": row["item"], **row["measures"]}


def _unscored(kind: str, error: str | None, tokens: dict[str, int] | None) -> BenchmarkScores:
    """Return what is told of a benchmark before its scores are filled in."""
    return {
        "kind": kind,
        "items": 0,
        "error": error,
        "note": "",
        "counts": True,
        "objections": [],
        "headline": [],
        "metrics": {},
        "floors": {},
        "groups": {},
        "tokens": tokens or {"prompt": 0, "completion": 0, "scored": 0},
    }


def _calibrated(form: str, measured: Measured, scored: BenchmarkScores) -> None:
    """Say whether a judge's numbers count in this form of use, and why not."""
    trial = measured.calibration.get("forms", {}).get(form, {})
    scored["objections"] = list(trial.get("objections", ["the judge was not calibrated"]))
    scored["counts"] = not scored["objections"]


def _complete(benchmark: Exam, items: Iterable[Item], answers: Mapping[str, Answers]) -> list[Item]:
    """Return the items about which nothing is left to ask."""
    return [item for item in items if answers[item.id] and not benchmark.requests(item, answers[item.id])]


def _measures(benchmark: Exam, items: Sequence[Item], answers: Mapping[str, Answers], workers: int) -> list[Row]:
    """Return the measures of every item; programs, which are processes of their own, run `workers` at a time."""
    with ThreadPoolExecutor(workers) as pool:
        measures = pool.map(lambda item: benchmark.score(item, answers[item.id]), items)
        return [{"id": item.id, **row} for item, row in zip(items, measures, strict=True)]


def floors(benchmark: Benchmark, items: Sequence[Item], workers: int = 1) -> dict[str, dict[str, Metric]]:
    """Return the metrics of answers that show no skill, for benchmarks without a judge."""
    nothing: dict[str, Answers] = {item.id: {} for item in items}
    constants = {floor: Floor(benchmark, floor) for floor in FLOORS}
    return {
        floor: constant.summarise(_measures(constant, items, nothing, workers)) for floor, constant in constants.items()
    }


def plain(metrics: Mapping[str, Metric]) -> dict[str, PlainScore]:
    """Return metrics with their intervals, without what does not differ within a benchmark."""
    return {
        name: {"value": row["value"], "n": row["n"], "low": row["low"], "high": row["high"]}
        for name, row in table(metrics).items()
    }


def _harness(task: str, measured: Measured) -> BenchmarkScores:
    """Return what lm-eval found in a task, or in a group of tasks, in the shape of a benchmark's scores."""
    results = measured.harness or {}
    scored = _unscored("harness", results.get("error"), None)
    if scored["error"]:
        return scored
    tasks = harness.under(results, task)
    spent = [results["tokens_by_task"][name] for name in tasks if name in results["tokens_by_task"]]
    scored["tokens"] = {kind: sum(counts[kind] for counts in spent) for kind in harness.KINDS_OF_TOKENS}
    earlier = {
        other: harness.metrics(theirs.harness, tasks)
        for other, theirs in measured.earlier.items()
        if theirs.harness and not theirs.harness.get("error")
    }
    metrics = harness.metrics(results, tasks)
    scored["items"] = sum(results["documents"].get(name, 0) for name in tasks if name in results["samples"])
    scored["headline"] = list(harness.metrics(results, tasks[:1]))
    scored["metrics"] = table(metrics, earlier)
    if measured.base_scores:
        scored["floors"] = _floors_of_base(measured.base_scores, f"harness/{task}")
    elif "floor" in results:
        skilless = {name: metric for name, metric in harness.metrics(results["floor"], tasks).items() if metric.terms}
        scored["floors"] = {"dummy": plain(skilless)}
    return scored
