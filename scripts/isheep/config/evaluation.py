"""Section `evaluation`: what every iter_i and the base are measured by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from isheep.config.engine import Engine
from isheep.config.kinds import kinds, union
from isheep.config.model import Model
from isheep.config.places import File
from isheep.config.section import Section
from isheep.evaluation.benchmark import Benchmark
from isheep.evaluation.calibration import Calibration
from isheep.evaluation.judge import Method

NAME = r"^[a-z][a-z0-9_]*$"
KINDS = "isheep.evaluation.kinds"
JUDGED = tuple(kind for kind, section in kinds(KINDS).items() if issubclass(section, Benchmark) and section.form)
"""The kinds of benchmark that need a judge."""
if TYPE_CHECKING:
    AnyBenchmark = Benchmark
else:
    AnyBenchmark = union(KINDS)


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
    method: Method = Field(
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


DEFAULT: dict[str, dict[str, Any]] = {
    "heldout": {"kind": "heldout", "path": "config/evaluation/heldout.jsonl"},
    "constraints": {"kind": "ifeval", "path": "config/evaluation/constraints.jsonl", "max_tokens": 512},
}


class Evaluation(Section):
    """Benchmarks of every iter_i and of the base; they need no network and train nothing."""

    benchmarks: dict[Annotated[str, Field(pattern=NAME)], AnyBenchmark | None] = Field(
        DEFAULT,  # type: ignore[arg-type] # validated like what a user gives
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
        judged = [name for name, benchmark in self.on.items() if benchmark.judged]
        if judged and self.judge is None:
            raise ValueError(
                f"benchmarks.{judged[0]} needs a judge, like judge: {{kind: endpoint, base_url: URL, model: NAME}} or "
                "judge: {kind: model}"
            )
        if "harness" in self.benchmarks:
            raise ValueError("benchmarks.harness: lm-eval's results have this name; choose another")
        return self

    @property
    def on(self) -> dict[str, Benchmark]:
        """The benchmarks that are not turned off, each bound to its name and to how the judge is asked."""
        method = self.judge.method if self.judge else "text"
        return {name: entry.bound(name, method) for name, entry in self.benchmarks.items() if entry is not None}

    @property
    def _wanted(self) -> list[Benchmark]:
        return [benchmark for benchmark in self.benchmarks.values() if benchmark is not None]

    @property
    def is_asked(self) -> bool:
        """Whether there is a benchmark."""
        return bool(self._wanted)

    @property
    def is_judged(self) -> bool:
        """Whether a benchmark needs the judge."""
        return any(benchmark.judged for benchmark in self._wanted)

    @property
    def files(self) -> list[str]:
        """Every data file that the benchmarks read."""
        return [file for benchmark in self._wanted for file in benchmark.files]

    @property
    def own_judge(self) -> ModelJudge | None:
        """The judge, when it is a model of its own; None when it is the run's base, or behind an endpoint."""
        return self.judge if isinstance(self.judge, ModelJudge) and self.judge.model else None
