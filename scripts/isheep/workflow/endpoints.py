"""Judges and models behind endpoints, asked one question before hours are spent on what they are to answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from isheep.config import Config
from isheep.config.evaluation import EndpointJudge
from isheep.config.run import Run
from isheep.serving.server import Server
from isheep.stages.table import table
from isheep.workflow.graph import base_folder

JUDGED_BY = ("calibrate_judge", "judge_answers")  # the stages that ask the evaluation's judge
PATIENCE_S = 30.0  # of the question: a server that is there may be loading a model


def silent(config: Config, jobs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for every endpoint that is to be asked and does not answer.

    Parameters
    ----------
    config
        The resolved settings.
    jobs
        Rule and run of every job that is to run.
    """
    asked = [(rule.removesuffix("_shard"), config.runs[run]) for rule, run in jobs if run in config.runs]
    judged = [run for rule, run in asked if rule in JUDGED_BY]
    answered = [run for rule, run in asked if rule in table() and _asks_engine(rule, run)]
    for server in {(each.base_url, each.model): each for each in chain(_judges(judged), _models(answered))}.values():
        if why := replace(server, timeout_s=min(server.timeout_s, PATIENCE_S), attempts=1).silence():
            yield f"{why}. Until it answers, what it is asked has no answer"


def _judges(runs: Iterable[Run]) -> Iterator[Server]:
    for run in runs:
        if isinstance(judge := run.evaluation.judge, EndpointJudge):
            from isheep.evaluation.judge import Endpoint

            yield Endpoint(judge.base_url, judge.model, judge.key_variable, judge.timeout_s)


def _models(runs: Iterable[Run]) -> Iterator[Server]:
    for run in runs:
        if run.engine.name == "endpoint":
            from isheep.serving.engines.endpoint import ModelServer

            yield ModelServer(**run.engine.endpoint.served(base_folder(run.model)))


def _asks_engine(stage: str, run: Run) -> bool:
    """Return whether a stage of a run asks the run's engine anything."""
    return table()[stage].engine and table()[stage].asks(run)
