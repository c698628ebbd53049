"""Benchmarks for tests: made without a data file, loaded from one, scored, and run against a file's own solutions."""

from concurrent.futures import ThreadPoolExecutor

from isheep.evaluation import sandbox
from isheep.evaluation.benchmark import Benchmark


def made(kind: type[Benchmark], name: str | None = None, method: str = "text", **settings) -> Benchmark:
    """Return a benchmark of a kind as part of a run; its data is nowhere unless `path` is given."""
    benchmark = kind(**{"path": "nowhere.jsonl", **settings})
    return benchmark.bound(name or benchmark.kind, method)


def load(kind: type[Benchmark], path, limit=None, **settings):
    """Return the items that a benchmark of a kind loads from a file."""
    return made(kind, path=str(path), limit=limit, **settings).load()


def score_all(exam, items, answers):
    """Return `{"id": ..., **measures}` for every item, in order; `answers` maps item id to answers by key."""
    return [{"id": item.id, **exam.score(item, answers.get(item.id, {}))} for item in items]


def failing(benchmark, items, workers=1):
    """Return how the data file's own solutions fail in the sandbox, by id: what is left is the ceiling."""
    with ThreadPoolExecutor(workers) as pool:
        outcomes = list(pool.map(lambda item: sandbox.run(benchmark.canonical(item), benchmark.tests(item)), items))
    return {item.id: outcome for item, outcome in zip(items, outcomes, strict=True) if not outcome.passed}
