"""What the stages that ask the evaluation's judge share: an endpoint, or a model on an engine; a journal either way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from isheep.config.engine import Engine as EngineSettings
from isheep.config.evaluation import EndpointJudge, ModelJudge
from isheep.config.model import Model
from isheep.config.run import Run
from isheep.data.rows import read_rows
from isheep.evaluation.judge import Endpoint
from isheep.evaluation.stage import Place, answers_in, to_endpoint, to_engine
from isheep.evaluation.stage import Send as Ask
from isheep.runner import stage
from isheep.runner.code import code_digest
from isheep.runner.dispatch import Dispatcher, Send
from isheep.stages.base import Read, Reads, Round


def weights(run: Run) -> Model | None:
    """Return which model judges: its own section, or the run's base; None for an endpoint."""
    judge = run.evaluation.judge
    return judge.model or run.model if isinstance(judge, ModelJudge) else None


def files_of_judge(run: Run) -> list[str]:
    """Return the file of the judge's chat template, when the settings give one."""
    model = weights(run)
    return [model.chat_template] if model and model.chat_template else []


def rival_answers(at: Round) -> Read | list[Read]:
    """Return the base model's answers, when they are a benchmark's rival."""
    rivals = any(benchmark.against_base for benchmark in at.run.evaluation.on.values())
    return Read("evaluate_model", 0) if rivals else []


def reads_of_judge(at: Round) -> Reads:
    """Return what asking the judge reads: its identity, and the base model's answers as rivals."""
    judge = at.run.evaluation.judge
    identity: Read | list[Read] = []
    if isinstance(judge, ModelJudge):
        identity = Read("identify_judge", 0) if judge.model else at.model(0)
    return {"identity": identity, "base_answers": rival_answers(at)}


class JudgeWork(stage.Work):
    """The work of a stage that asks the judge."""

    failures: list[str]
    """What the judge could not be asked, a line each."""

    @cached_property
    def judge(self) -> EndpointJudge | ModelJudge:
        """The section of the settings."""
        judge = self.run.evaluation.judge
        assert judge is not None, "the stage is there when there is a judge"
        return judge

    @property
    def engine(self) -> EngineSettings:
        """What runs the judge: its own engine, or the run's."""
        own = self.judge.engine if isinstance(self.judge, ModelJudge) else None
        return own or self.run.engine

    @property
    def model(self) -> Model:
        """The judge: its own model, or the run's base."""
        own = self.judge.model if isinstance(self.judge, ModelJudge) else None
        return own or self.run.model

    @contextmanager
    def asking(self) -> Iterator[Send]:
        """Yield what sends requests to the judge."""
        judge = self.judge
        self.failures = []
        if isinstance(judge, ModelJudge):
            with super().asking() as send:
                yield send
            return
        url, name = judge.base_url, judge.model
        limits = (judge.key_variable, judge.timeout_s, judge.attempts, judge.concurrency)
        depends_on = {"endpoint": url, "model": name, "code": code_digest("isheep/evaluation/judge.py")}
        with self.dispatching(depends_on, lambda: Endpoint(url, name, *limits)) as dispatcher:
            self.endpoint = dispatcher
            yield dispatcher.send

    endpoint: Dispatcher | None = None

    def to_judge(self, send: Send) -> Ask:
        """Return what sends a wave of a benchmark's questions to the judge."""
        if self.endpoint is not None:
            return to_endpoint(self.endpoint, self.failures)
        template = self.template if self.model.chat else None
        return to_engine(send, lambda _: template, self.run.outputs.plain, self.run.seed)

    @property
    def base_answers(self) -> dict[Place, Any]:
        """The base model's answers, where it is a rival."""
        file = self.job.input.get("base_answers")
        return answers_in(read_rows(file)) if file else {}
