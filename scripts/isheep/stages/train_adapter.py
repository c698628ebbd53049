"""Stage train_adapter: d_{i-1} trains a LoRA adapter; checkpoints in the work folder let it go on when killed."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name

from isheep.config.run import Run
from isheep.data.files import digest, digest_file, module_file, read_json
from isheep.runner.job import Job
from isheep.runner.stage import Made
from isheep.stages.base import Stage, template
from isheep.training.objective import OBJECTIVES

# By name, imported when asked for: the code of a trainer counts in the digest of what it made, and in no other.
TRAINERS = {"trl": "isheep.training.launch:launch", "fake": "isheep.training.fake:launch"}


def start(run: Run, i: int) -> int:
    """Return which model the training of iter_i starts from: iter_{i-1}, or the base."""
    return i - 1 if run.train.start_from == "previous" else 0


def _code(run: Run) -> list[str]:
    objective = [module_file(OBJECTIVES[run.train.objective])] if run.train.trainer == "trl" else []
    return [module_file(TRAINERS[run.train.trainer]), *objective]


STAGE = Stage(
    "train_adapter",
    about="trains a LoRA adapter on the data of the round before",
    place=80,
    folder="iter_{i}",
    makes=("adapter", "training.json"),
    of="trained",
    settings=("seed", "model", "train"),
    # A run that an alarm may stop never waits in another's stead, nor makes another stop.
    decides=lambda run: {"stops": run.health.alarms.stopping},
    reads=lambda at: {"selected": at.data(at.i - 1)},
    files=template,
    model=start,
    machine="train",
    code=_code,
    keeps=True,
    does="train",
)


def make(this: Job) -> Made:
    """Train; return the report."""
    depends_on = {
        "settings": this.params.settings,
        "code": this.params.code,
        "selected": digest_file(this.input.selected),
        "model": read_json(this.input.identity)["sha256"],
    }
    report = resolve_name(TRAINERS[this.run.train.trainer])(
        this.run.train,
        this.run.model,
        this.model_folder,
        Path(this.input.selected),
        Path(this.output.adapter),
        this.work_folder(digest(depends_on)),
        this.run.seed,
        this.threads,
        this.gpus,
    )
    this.log_timing(report.pop("timing"))
    this.tokens = {"trained": report["tokens"]}
    return {"report": report}
