"""Stage run_harness: tasks of lm-eval on the model, through lm-eval's own model classes."""

from __future__ import annotations

import logging
from pathlib import Path

from isheep.config.run import Run
from isheep.errors import UserError
from isheep.evaluation import harness
from isheep.runner.job import Job
from isheep.runner.portable import without_place
from isheep.runner.stage import Made
from isheep.stages.base import Stage, current, template

logger = logging.getLogger(__name__)


def _files(run: Run) -> list[str]:
    include = run.evaluation.harness.include_path if run.evaluation.harness else None
    return [*sorted(str(task) for task in Path(include).rglob("*.yaml")), *template(run)] if include else template(run)


STAGE = Stage(
    "run_harness",
    about="runs tasks of lm-eval on iter_i",
    place=103,
    folder="iter_{i}/evaluation",
    makes=("harness.json",),
    of="model",
    settings=("seed", "model", "engine", "evaluation.harness"),
    files=_files,
    model=current,
    machine="evaluate",
    present=lambda run: run.evaluation.harness is not None,
    keeps=True,
    does="evaluate",
)


def make(this: Job) -> Made:
    """Return lm-eval's results, or why there are none: a broken task keeps no other benchmark from being measured."""
    try:
        results = harness.run(this.run, this.model_folder, this.threads, this.gpus, floor=this.round == 0)
        this.tokens = results["tokens"]
    except UserError as error:
        logger.error("%s", error)
        this.is_final = False
        results = {"error": without_place(str(error), this.params.model_folder or "")}
    return {"results": results}
