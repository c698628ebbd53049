"""HumanEval, HumanEval+ and MBPP: programs written by the model, run in the sandbox against their tests.

HumanEval: Chen et al. 2021, arXiv 2107.03374; HumanEval+: Liu et al. 2023, arXiv 2305.01210 (files in the original
format, OriginFmt); MBPP: Austin et al. 2021, arXiv 2108.07732. Prompts and extraction are this project's own.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import ClassVar, Literal

from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation import sandbox
from isheep.evaluation.base import Answers, Ask, Benchmark, Item, Metric, ratio, written
from isheep.evaluation.files import load_items, strings, take
from isheep.evaluation.sandbox import Limits, Outcome
from isheep.serving.chat import user
from isheep.serving.engines.base import Sampling

FENCE = re.compile(r"^[ \t]*```[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
STATEMENT = re.compile(r"^(?:from |import |def |class |async def |@)", re.MULTILINE)
HUMANEVAL_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint", "\n@", "\n```")
MBPP_STOPS = ("[DONE]", "\nTask:")
STOPPED = ("timeout", "memory", "killed")
MBPP_SHOTS = ("2", "3", "4")
MBPP_TEST_IDS = range(11, 511)
HUMANEVAL_CHAT = (
    "Complete this Python function. Answer with the whole function in one code block.\n\n```python\n{}\n```"
)
MBPP_CHAT = (
    "Write a Python function for this task. Answer with the code in one code block.\n\n{}\n\n"
    "It must pass these tests:\n\n```python\n{}\n```"
)
MBPP_SHOT = "Task: {}\nTests:\n{}\n[BEGIN]\n"


@dataclass(frozen=True)
class Code(Benchmark, ABC):
    """What HumanEval and MBPP share.

    Parameters
    ----------
    name
        Prefix of the metrics.
    style
        "chat": ask for a function in a code block. "continuation": let a base model go on from the file's own text.
    samples, k
        Programs for each task, and the k of every pass@k to report (each at most `samples`).
    temperature, top_p, max_tokens
        How programs are drawn; temperature 0 makes all samples of a task equal.
    limits
        Of the sandbox, for each program.
    run
        Runs a program; the sandbox unless a test gives another.
    """

    headline: ClassVar[tuple[str, ...]] = ("{name}_pass@1",)
    name: str
    style: Literal["chat", "continuation"] = "chat"
    samples: int = 1
    k: tuple[int, ...] = (1,)
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    limits: Limits = field(default_factory=Limits)
    run: Callable[[str, Limits], Outcome] = sandbox.run

    def __post_init__(self) -> None:
        if not self.k or not all(1 <= k <= self.samples for k in self.k):
            raise UserError(f"{self.name}.k: each k of pass@k must be from 1 to samples ({self.samples}), is {self.k}")
        if self.samples > 1 and self.temperature == 0:
            raise UserError(
                f"{self.name}.temperature: {self.samples} samples at temperature 0 are all equal; set it to 0.8"
            )

    @abstractmethod
    def prompt(self, item: Item) -> tuple[str, tuple[str, ...]]:
        """Return what the model is shown and the strings that end a continuation."""

    @abstractmethod
    def program(self, item: Item, completion: str) -> str:
        """Return the completion as a program with the item's tests behind it."""

    @abstractmethod
    def canonical(self, item: Item) -> str:
        """Return the data file's own solution as a program with the item's tests behind it."""

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return the same prompt `samples` times."""
        text, stops = self.prompt(item)
        chat = self.style == "chat"
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens, () if chat else stops)
        shown = {"turns": tuple(user(text))} if chat else {"text": text}
        keys = [f"sample-{number}" for number in range(self.samples)]
        return [Ask(key, sampling=sampling, **shown) for key in keys if key not in answers]

    def score(self, item: Item, answers: Answers) -> Row:
        """Return for every sample how its program ended, and the share that passed."""
        texts = [written(answers, f"sample-{number}") for number in range(self.samples)]
        outcomes = [self.run(self.program(item, text), self.limits) for text in texts]
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


@dataclass(frozen=True)
class HumanEval(Code):
    """HumanEval, or HumanEval+ from a file in the same format with more tests."""

    name: str = "humaneval"

    def load(self, path: Path, limit: int | None = None) -> list[Item]:
        """Return the tasks of a file with task_id, prompt, entry_point, canonical_solution and test."""

        def make(place: str, row: Row) -> Item:
            keys = ("prompt", "entry_point", "canonical_solution", "test")
            fields = {key: take(place, row, key, str) for key in keys}
            if not fields["entry_point"].isidentifier():
                raise UserError(f"{place}: entry_point must be a name in Python, is {fields['entry_point']!r}")
            return Item(take(place, row, "task_id", str), fields)

        return load_items(path, make, limit)

    def prompt(self, item: Item) -> tuple[str, tuple[str, ...]]:
        """Return the function's head, asked for or left to be continued."""
        head = item.fields["prompt"]
        return (HUMANEVAL_CHAT.format(head.strip()) if self.style == "chat" else head.rstrip()), HUMANEVAL_STOPS

    def program(self, item: Item, completion: str) -> str:
        """Return head, completion and tests. A whole function replaces the head's, whose imports and helpers stay."""
        head, name = item.fields["prompt"], item.fields["entry_point"]
        if self.style == "continuation":
            return self._tested(item, head.rstrip() + cut(completion, HUMANEVAL_STOPS))
        code = extract(completion, name)
        if defines(code, name):
            return self._tested(item, f"{head}\n    pass\n\n{code}")
        return self._tested(item, head.rstrip() + "\n" + indented(code))

    def canonical(self, item: Item) -> str:
        """Return the canonical solution with its tests."""
        return self._tested(item, item.fields["prompt"] + item.fields["canonical_solution"])

    def _tested(self, item: Item, code: str) -> str:
        return f"{code}\n\n{item.fields['test']}\n\ncheck({item.fields['entry_point']})\n"


@dataclass(frozen=True)
class Mbpp(Code):
    """MBPP's test split (task ids 11 to 510); a base model is shown tasks 2, 3 and 4 first."""

    name: str = "mbpp"
    max_tokens: int = 512

    def load(self, path: Path, limit: int | None = None) -> list[Item]:
        """Return the test tasks of a file with task_id, text, code, test_list and test_setup_code."""

        def make(place: str, row: Row) -> Item:
            fields = {key: take(place, row, key, str).replace("\r\n", "\n") for key in ("text", "code")}
            fields["setup"] = take(place, row, "test_setup_code", str, "")
            fields["tests"] = strings(place, row, "test_list")
            return Item(str(take(place, row, "task_id", int)), fields)

        items = load_items(path, make)
        shots = [item.fields for item in items if item.id in MBPP_SHOTS]
        if self.style == "continuation" and len(shots) < len(MBPP_SHOTS):
            raise UserError(f"{path}: the tasks {', '.join(MBPP_SHOTS)}, shown as examples, are not all in the file")
        before = "".join(f"{_mbpp_task(shot)}{shot['code'].strip()}\n[DONE]\n\n" for shot in shots)
        tasks = [Item(item.id, item.fields | {"shots": before}) for item in items if int(item.id) in MBPP_TEST_IDS]
        if not tasks:
            raise UserError(f"{path}: no task with an id from 11 to 510, the test split")
        return tasks[:limit]

    def prompt(self, item: Item) -> tuple[str, tuple[str, ...]]:
        """Return the task with its tests; for a continuation, behind three solved ones."""
        if self.style == "chat":
            return MBPP_CHAT.format(item.fields["text"], "\n".join(item.fields["tests"])), MBPP_STOPS
        return item.fields["shots"] + _mbpp_task(item.fields), MBPP_STOPS

    def program(self, item: Item, completion: str) -> str:
        """Return completion and tests."""
        called = re.search(r"assert\W+(?:\w+\()*?(\w+)\(", item.fields["tests"][0])
        code = cut(completion, MBPP_STOPS) if self.style == "continuation" else completion
        return self._tested(item, extract(code, called[1] if called else ""))

    def canonical(self, item: Item) -> str:
        """Return the file's solution with its tests."""
        return self._tested(item, item.fields["code"])

    def _tested(self, item: Item, code: str) -> str:
        return "\n".join([code, item.fields["setup"], *item.fields["tests"]]) + "\n"


def _mbpp_task(fields: Row) -> str:
    return MBPP_SHOT.format(fields["text"], "\n".join(fields["tests"]))


def extract(completion: str, name: str) -> str:
    """Return the code in a chat answer.

    The first code block that defines `name`, else the first block; without any block, the text from the first line
    that looks like a statement of Python. A block that was never closed goes to the end.
    """
    blocks = [match[1] for match in FENCE.finditer(completion)]
    if blocks:
        return next((block for block in blocks if defines(block, name)), blocks[0])
    start = STATEMENT.search(completion)
    return completion[start.start() :] if start else completion


def defines(code: str, name: str) -> bool:
    """Return whether the code has a top-level function (or class, or value) of that name."""
    return re.search(rf"^(?:(?:async )?def {name}\b|class {name}\b|{name} *=)", code, re.MULTILINE) is not None


def indented(code: str) -> str:
    """Return the body of a function, indented by four where its first line is not indented at all."""
    first = next((line for line in code.split("\n") if line.strip()), "")
    if first[:1] in (" ", "\t"):
        return code
    return "\n".join(f"    {line}" if line.strip() else line for line in code.split("\n"))


def cut(text: str, stops: Sequence[str]) -> str:
    """Return the text up to the first of the stop strings."""
    ends = [text.find(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text


def pass_at_k(n: int, passed: int, k: int) -> float:
    """Return the unbiased estimate of the chance that one of k samples passes: 1 - C(n-passed, k) / C(n, k).

    Chen et al. 2021, section 2.1; as a product, so that large numbers neither overflow nor cancel.
    """
    if n - passed < k:
        return 1.0
    return 1.0 - prod(1.0 - k / i for i in range(n - passed + 1, n + 1))
