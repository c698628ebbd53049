"""Stage identify_judge: the hash of the evaluation's own judge, where it has one that runs here."""

from __future__ import annotations

from typing import Any

from isheep.config.run import Run
from isheep.data.files import digest
from isheep.runner.job import Job
from isheep.runner.stage import Made
from isheep.serving import models, preflight
from isheep.stages.base import Stage, judge_weights


def _source(run: Run) -> list[Any]:
    model = judge_weights(run)
    return [*model.source, run.engine.name == "fake"] if model else []


STAGE = Stage(
    "identify_judge",
    about="hashes the weights and tokenizer of the evaluation's own judge",
    place=1,
    folder="iter_{i}/evaluation",
    makes=("judge.json",),
    of="once",
    decides=_source,
    weights=judge_weights,
    machine="merge",
    present=lambda run: run.has_own_judge,
    does="evaluate",
)


def make(this: Job) -> Made:
    """Return the identity of the judge."""
    if this.model_folder is None:
        return {"identity": {"sha256": digest("the fake engine's judge"), "files": {}}}
    judge = this.run.evaluation.own_judge
    assert judge is not None and judge.model is not None, "the stage is there when a judge of its own is"
    preflight.check_loaded(this.model_folder, judge.model, (judge.engine or this.run.engine).context_length)
    return {"identity": models.identity(this.model_folder)}
