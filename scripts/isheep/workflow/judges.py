"""Judges behind endpoints, asked one question before hours are spent on answers that they are to judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from isheep.config import Config
from isheep.config.evaluation import EndpointJudge

ASKING = ("calibrate_judge", "judge_answers")  # the rules that ask the evaluation's judge


def silent(config: Config, jobs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for every endpoint that is to be asked and does not answer.

    Parameters
    ----------
    config
        The resolved settings.
    jobs
        Rule and run of every job that is to run.
    """
    runs = {run for rule, run in jobs if rule in ASKING}
    judges = [settings.evaluation.judge for run, settings in config.runs.items() if run in runs]
    endpoints = [judge for judge in judges if isinstance(judge, EndpointJudge)]
    for judge in {(judge.base_url, judge.model): judge for judge in endpoints}.values():
        from isheep.evaluation.judge import Endpoint

        if why := Endpoint(judge.base_url, judge.model, judge.key_variable, judge.timeout_s).silence():
            yield f"{why}. Until it answers, what it is to judge has no score"
