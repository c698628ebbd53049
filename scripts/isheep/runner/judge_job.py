"""A job that asks the evaluation's judge: an endpoint, or a model on an engine; with a journal either way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from isheep.data.rows import read_rows
from isheep.evaluation.judge import Endpoint
from isheep.evaluation.stage import Place, Send, answers_in, to_endpoint, to_engine
from isheep.runner import job
from isheep.runner.code import code_digest
from isheep.runner.dispatch import Dispatcher
from isheep.runner.model_job import ModelJob
from isheep.serving import engines


class JudgeJob(ModelJob):
    """A job of calibrate_judge or judge_answers."""

    @contextmanager
    def asking(self) -> Iterator[tuple[Send, list[str]]]:
        """Yield what sends requests to the judge, and the list in which its failures will stand, a line each."""
        judge, run, failures = self.run.evaluation.judge, self.run, []
        if judge.kind == "endpoint":
            depends_on = {
                "endpoint": judge.base_url,
                "model": judge.model,
                "code": code_digest("isheep/evaluation/judge.py"),
            }
            limits = (judge.key_variable, judge.timeout_s, judge.attempts, judge.concurrency)
            with self.journal_of(depends_on) as journal:
                dispatcher = Dispatcher(journal, lambda: Endpoint(judge.base_url, judge.model, *limits))
                yield to_endpoint(dispatcher, failures), failures
                self.tokens = dispatcher.tokens()
        else:
            engine, model = judge.engine or run.engine, judge.model or run.model
            template = engines.load_template(engine, model, self.model_folder) if model.chat else None
            with self.dispatcher(engine, model) as dispatcher:
                yield to_engine(dispatcher, template, run.outputs.plain, run.seed), failures

    @property
    def base_answers(self) -> dict[Place, Any]:
        """The base model's answers, where it is a rival."""
        file = self.input.get("base_answers")
        return answers_in(read_rows(file)) if file else {}


def of(snakemake: Any) -> AbstractContextManager[JudgeJob]:
    """Run a judge's script; as `job.of`."""
    return job.of(snakemake, JudgeJob)
