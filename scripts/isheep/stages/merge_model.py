"""Stage merge_model: adapter and model become iter_i, checked on real prompts of the data that trained it."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name

from isheep.data.files import module_file
from isheep.data.rows import read_rows
from isheep.runner.job import Job
from isheep.runner.stage import Made
from isheep.serving import models
from isheep.stages.base import Read, Reads, Round, Stage, template
from isheep.stages.train_adapter import start

MERGERS = {"trl": "isheep.training.merge:merge", "fake": "isheep.training.fake:merge"}


def _reads(at: Round) -> Reads:
    return {
        "adapter": Read("train_adapter", at.i),
        "training": Read("train_adapter", at.i, "training.json"),
        "selected": at.data(at.i - 1),
    }


STAGE = Stage(
    "merge_model",
    about="folds the adapter into the weights and compares the two",
    place=90,
    folder="iter_{i}",
    makes=("identity.json", "model", "merging.json"),
    of="trained",
    settings=("model", "train.start_from", "train.trainer", "merge"),
    reads=_reads,
    files=template,
    model=start,
    machine="merge",
    code=lambda run: [module_file(MERGERS[run.train.trainer])],
    does="merge",
)


def make(this: Job) -> Made:
    """Merge; return the report and the identity of the new model."""
    report = resolve_name(MERGERS[this.run.train.trainer])(
        this.run.merge,
        this.run.model,
        this.model_folder,
        Path(this.input.adapter),
        Path(this.output.model),
        list(read_rows(this.input.selected)),
        this.threads,
        this.gpus,
    )
    this.log_timing(report.pop("timing", {}))
    return {"report": report, "identity": models.identity(Path(this.output.model))}
