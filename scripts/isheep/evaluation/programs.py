"""Programs written by the model, run in the sandbox against their tests: what HumanEval and MBPP share.

Prompts and extraction are this project's own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from math import prod
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from isheep.data.rows import Row
from isheep.evaluation import sandbox
from isheep.evaluation.base import Answers, Ask, Item, Metric, ratio, written
from isheep.evaluation.benchmark import Benchmark
from isheep.serving.chat import user
from isheep.serving.engines.base import Sampling

STOPPED = ("timeout", "memory", "killed")


class Programs(Benchmark):
    """What HumanEval and MBPP share: programs are drawn, put before their tests, and run."""

    headline: ClassVar[tuple[str, ...]] = ("{name}_pass@1",)
    sandboxed: ClassVar[bool] = True

    style: Literal["chat", "continuation"] = Field("chat", description="Ask, or let a base model go on from the file.")
    samples: int = Field(1, ge=1, description="Programs for each task.")
    k: tuple[int, ...] = Field((1,), description="Every k of pass@k.")
    temperature: float = Field(0.0, ge=0, description="0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus.")
    max_tokens: int = Field(1024, ge=1, description="New tokens of a program at most.")
    weak_sandbox: bool = Field(
        False,
        description="Run generated programs with limits alone where this machine offers no real sandbox; only for a "
        "machine to throw away.",
    )

    @model_validator(mode="after")
    def _distinct_samples(self) -> Self:
        if not self.k or not all(1 <= k <= self.samples for k in self.k):
            raise ValueError(f"k: each k of pass@k must be from 1 to samples ({self.samples})")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(f"temperature: {self.samples} samples at temperature 0 are all equal; set it to 0.8, say")
        return self

    @abstractmethod
    def prompt(self, item: Item) -> tuple[str, tuple[str, ...]]:
        """Return what the model is shown and the strings that end a continuation."""

    @abstractmethod
    def program(self, item: Item, completion: str) -> str:
        """Return the completion as a program."""

    @abstractmethod
    def tests(self, item: Item) -> str:
        """Return the item's tests, to be run behind a program."""

    @abstractmethod
    def canonical(self, item: Item) -> str:
        """Return the data file's own solution as a program."""

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return the same prompt `samples` times."""
        text, stops = self.prompt(item)
        chat = self.style == "chat"
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens, () if chat else stops)
        shown = {"turns": tuple(user(text))} if chat else {"text": text}
        keys = [f"sample-{number}" for number in range(self.samples)]
        return [Ask(key, sampling=sampling, **shown) for key in keys if key not in answers]

    def beside(self, item: Item) -> dict[str, str]:
        """Return the file's solution and its tests."""
        return {"reference": self.canonical(item), "tests": self.tests(item)}

    def score(self, item: Item, answers: Answers) -> Row:
        """Return for every sample how its program ended, and the share that passed."""
        texts = [written(answers, f"sample-{number}") for number in range(self.samples)]
        programs = [self.program(item, text) for text in texts]
        outcomes = [sandbox.run(program, self.tests(item), allow_weak=self.weak_sandbox) for program in programs]
        return {
            "passed": [outcome.passed for outcome in outcomes],
            "status": [outcome.status for outcome in outcomes],
            "detail": [outcome.detail for outcome in outcomes],
        }

    def summarise(self, rows: Sequence[Row]) -> dict[str, Metric]:
        """Return pass@k (Chen et al. 2021, section 2.1), and the share of programs that ran out of time or memory."""
        metrics = {}
        for k in self.k:
            estimates = ((row["id"], pass_at_k(len(row["passed"]), sum(row["passed"]), k), 1) for row in rows)
            metrics[f"{self.name}_pass@{k}"] = ratio(estimates)
        stopped = ((row["id"], sum(map(STOPPED.__contains__, row["status"])), len(row["status"])) for row in rows)
        metrics[f"{self.name}_out_of_bounds"] = ratio(stopped, better="lower")
        return metrics


def pass_at_k(n: int, passed: int, k: int) -> float:
    """Return the unbiased estimate of the chance that one of k samples passes: 1 - C(n-passed, k) / C(n, k).

    Chen et al. 2021, section 2.1; as a product, so that large numbers neither overflow nor cancel.
    """
    if n - passed < k:
        return 1.0
    return 1.0 - prod(1.0 - k / i for i in range(n - passed + 1, n + 1))
