"""Section `evaluation`: what every iter_i and the base are measured by."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from isheep.config.engine import Engine
from isheep.config.model import Model
from isheep.config.places import File
from isheep.config.section import Section

FETCHED = "data/hub/"
NAME = r"^[a-z][a-z0-9_]*$"


class OnFile(Section):
    """What benchmarks have in common: a data file, or a data set on the hub that is fetched into one."""

    path: File | None = Field(None, description="Data file.")
    hub: str | None = Field(None, description="In its place, a data set's id on the hub; fetched once into data/hub/.")
    subset: str | None = Field(None, description="Part of the data set on the hub that has several.")
    split: str = Field("test", description="Split of the data set on the hub; `train+test` joins two.")
    revision: str = Field("main", description="Branch, tag or commit on the hub; a commit makes the run repeatable.")
    limit: int | None = Field(None, ge=1, description="Only the first so many items.")

    @model_validator(mode="before")
    @classmethod
    def _fetched_into(cls, given: Any) -> Any:
        """Name the file into which a data set on the hub is fetched; resolved settings name it already."""
        if not isinstance(given, dict) or not isinstance(given.get("hub"), str):
            return given
        parts = (given["hub"], given.get("subset"), given.get("split", "test"), given.get("revision", "main"))
        file = FETCHED + "--".join(str(part).replace("/", "--") for part in parts if part) + ".jsonl"
        if given.get("path") not in (None, file):
            raise ValueError("give one of path and hub, not both")
        return {**given, "path": file}

    @model_validator(mode="after")
    def _has_data(self) -> OnFile:
        if self.path is None:
            raise ValueError("give path (a data file) or hub (a data set's id)")
        return self


class Heldout(OnFile):
    """Held-out pairs: bits per byte, preference of the right answer, stopping, repetition."""

    kind: Literal["heldout"] = "heldout"
    max_tokens: int = Field(256, ge=1, description="New tokens of an answer at most.")


class Ifeval(OnFile):
    """Instructions that a program checks; the project's own constraints, or IFEval's file."""

    kind: Literal["ifeval"] = "ifeval"
    max_tokens: int = Field(1280, ge=1, description="New tokens of an answer at most.")


class Code(OnFile):
    """Programs run in the sandbox: HumanEval and HumanEval+ (`humaneval`), MBPP (`mbpp`)."""

    kind: Literal["humaneval", "mbpp"]
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
    def _distinct_samples(self) -> Code:
        if not self.k or not all(1 <= k <= self.samples for k in self.k):
            raise ValueError(f"k: each k of pass@k must be from 1 to samples ({self.samples})")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(f"temperature: {self.samples} samples at temperature 0 are all equal; set it to 0.8, say")
        return self


class Questions(OnFile):
    """Questions with short answers: TriviaQA, SQuAD 2.0."""

    kind: Literal["triviaqa", "squad2"]
    max_tokens: int = Field(50, ge=1, description="New tokens of an answer at most.")


class MtBench(OnFile):
    """One or two turns, each graded from 1 to 10 by the judge."""

    kind: Literal["mt_bench"]
    references: File | None = Field(None, description="File of right answers that the judge is shown.")
    max_tokens: int = Field(1024, ge=1, description="New tokens of an answer at most.")


class Pairwise(OnFile):
    """Win rate against a rival by the judge, in both orders."""

    kind: Literal["pairwise"]
    rival: Literal["file", "base"] = Field("file", description="Against the file's outputs, or the base model's.")
    max_tokens: int = Field(1024, ge=1, description="New tokens of an answer at most.")


Benchmark = Annotated[Heldout | Ifeval | Code | Questions | MtBench | Pairwise, Field(discriminator="kind")]
JUDGED = ("mt_bench", "pairwise")


class Calibration(Section):
    """Pairs by which the judge must show that it can judge, before its numbers count."""

    path: File = Field("config/evaluation/heldout.jsonl", description="Pairs of instruction and human answer.")
    limit: int | None = Field(None, ge=1, description="Only the first so many pairs.")


class EndpointJudge(Section):
    """A judge behind an OpenAI-compatible chat endpoint."""

    operational = frozenset({"key_variable", "timeout_s", "attempts", "concurrency"})

    kind: Literal["endpoint"]
    base_url: str = Field(description="Such as http://localhost:8000/v1.")
    model: str = Field(description="Name under which the endpoint serves the judge.")
    key_variable: str = Field("OPENAI_API_KEY", description="Environment variable with the key; it is written nowhere.")
    timeout_s: float = Field(120.0, gt=0, description="Seconds for one reply.")
    attempts: int = Field(5, ge=1, description="How often a failing request is sent in all.")
    concurrency: int = Field(8, ge=1, description="Requests at a time.")
    calibration: Calibration = Field(Calibration(), description="The test that the judge must pass.")

    @property
    def method(self) -> Literal["text"]:
        """How it is asked: an endpoint writes text."""
        return "text"


class ModelJudge(Section):
    """A judge on the project's engines."""

    kind: Literal["model"]
    model: Model | None = Field(None, description="The judge; the run's base model when not given.")
    engine: Engine | None = Field(None, description="What runs it; the run's engine when not given.")
    method: Literal["text", "likelihood"] = Field(
        "likelihood", description="Its written verdict, or the probabilities of its possible verdicts."
    )
    calibration: Calibration = Field(Calibration(), description="The test that the judge must pass.")


Judge = Annotated[EndpointJudge | ModelJudge, Field(discriminator="kind")]


class Harness(Section):
    """lm-eval tasks by name, through lm-eval's own hf or vllm model (the run's engine says which)."""

    tasks: tuple[str, ...] = Field(description="Tasks or groups.", min_length=1)
    include_path: File | None = Field(None, description="Folder of own task files, for tasks whose data is local.")
    num_fewshot: int | None = Field(None, ge=0, description="Examples shown; as the task says when not given.")
    limit: int | None = Field(None, ge=1, description="Only the first so many documents of a task.")
    batch_size: int = Field(1, ge=1, description="Documents a batch.")
    chat: bool = Field(False, description="Ask through the chat template.")


DEFAULT: dict[str, Any] = {
    "heldout": {"kind": "heldout", "path": "config/evaluation/heldout.jsonl"},
    "constraints": {"kind": "ifeval", "path": "config/evaluation/constraints.jsonl", "max_tokens": 512},
}


class Evaluation(Section):
    """Benchmarks of every iter_i and of the base; they need no network and train nothing."""

    benchmarks: dict[Annotated[str, Field(pattern=NAME)], Benchmark | None] = Field(
        DEFAULT,
        description="Name: benchmark. `heldout` and `constraints` are always there, unless set to null.",
    )
    judge: Judge | None = Field(None, description="Who judges mt_bench and pairwise.")
    harness: Harness | None = Field(None, description="Tasks of lm-eval.")

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, given: Any) -> Any:
        """Lay the benchmarks that were given over the default ones, key by key."""
        own = given.get("benchmarks") if isinstance(given, dict) else None
        if not isinstance(own, dict):
            return given
        merged: dict[str, Any] = {**DEFAULT, **own}
        for name, default in DEFAULT.items():
            entry = own.get(name)
            if isinstance(entry, dict) and entry.get("kind", default["kind"]) == default["kind"]:
                merged[name] = {**default, **entry}
        return {**given, "benchmarks": merged}

    @model_validator(mode="after")
    def _has_judge(self) -> Evaluation:
        judged = [name for name, entry in self.on.items() if entry.kind in JUDGED]
        if judged and self.judge is None:
            raise ValueError(
                f"benchmarks.{judged[0]} needs a judge, like judge: {{kind: endpoint, base_url: URL, model: NAME}} or "
                "judge: {kind: model}"
            )
        if "harness" in self.benchmarks:
            raise ValueError("benchmarks.harness: lm-eval's results have this name; choose another")
        return self

    @property
    def on(self) -> dict[str, Any]:
        """The benchmarks that are not turned off."""
        return {name: entry for name, entry in self.benchmarks.items() if entry is not None}

    @property
    def is_judged(self) -> bool:
        """Whether a benchmark needs the judge."""
        return any(benchmark.kind in JUDGED for benchmark in self.on.values())


def judge_weights(evaluation: Evaluation) -> Model | None:
    """Return the section of the judge's own model; None when it is the run's base, or behind an endpoint."""
    judge = evaluation.judge
    return judge.model if judge is not None and judge.kind == "model" else None


def benchmark_data(evaluation: Evaluation) -> list[str]:
    """Return every file that a run's benchmarks read."""
    references = [getattr(benchmark, "references", None) for benchmark in evaluation.on.values()]
    return [*(benchmark.path for benchmark in evaluation.on.values()), *filter(None, references)]
