"""Benchmarks scored without a run: whole files of answers, and the data files' own solutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isheep.data.rows import Row
from isheep.evaluation import sandbox
from isheep.evaluation.base import Answers, Benchmark, Item
from isheep.evaluation.code import Code


def score_all(benchmark: Benchmark, items: Sequence[Item], answers: Mapping[str, Answers]) -> list[Row]:
    """Return `{"id": ..., **measures}` for every item, in order; `answers` maps item id to answers by key."""
    return [{"id": item.id, **benchmark.score(item, answers.get(item.id, {}))} for item in items]


def failing_solutions(benchmark: Code, items: Sequence[Item], workers: int = 1) -> dict[str, sandbox.Outcome]:
    """Run the data file's own solutions; return those that fail, by id. What remains is the ceiling of the runner."""
    programs = [benchmark.canonical(item) for item in items]
    outcomes = sandbox.run_all(programs, benchmark.limits, workers=workers)
    return {item.id: outcome for item, outcome in zip(items, outcomes, strict=True) if not outcome.passed}
