"""Benchmarks for tests: made without a data file, loaded from one, scored, and run against a file's own solutions."""

from concurrent.futures import ThreadPoolExecutor

from isheep.evaluation import sandbox
from isheep.evaluation.benchmark import Benchmark

# A kind of benchmark as one new module would be.
TOY = '''
"""Counting: how many words does the answer have?"""
from typing import ClassVar, Literal
from pydantic import Field
from isheep.evaluation.base import Ask, Item, mean
from isheep.evaluation.benchmark import Benchmark
from isheep.evaluation.files import load_items, take
from isheep.serving.chat import user
from isheep.serving.engines.base import Sampling


class Counting(Benchmark):
    """Words of an answer."""

    headline: ClassVar[tuple[str, ...]] = ("{name}_words",)
    kind: Literal["counting"] = "counting"
    max_tokens: int = Field(7, ge=1, description="New tokens of a counted answer at most.")

    def load(self):
        def make(place, row):
            return Item(str(row["id"]), {"q": take(place, row, "q", str)})

        return load_items(self.data, make, self.limit)

    def requests(self, item, answers):
        sampling = Sampling(0.0, 1.0, self.max_tokens)
        return [] if answers else [Ask("answer", tuple(user(item.fields["q"])), sampling=sampling)]

    def score(self, item, answers):
        return {"words": len(answers["answer"].text.split())}

    def summarise(self, rows):
        return {f"{self.name}_words": mean(rows, "words", "words")}
'''


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
