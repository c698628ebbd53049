"""Stage train_adapter: d_{i-1} trains a LoRA adapter; checkpoints in the work folder let it go on when killed."""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path
from pkgutil import resolve_name

from isheep.config.run import Run
from isheep.data.files import digest, digest_file, module_file, read_json
from isheep.data.rows import read_rows, write_rows
from isheep.runner.job import Job
from isheep.runner.stage import Made
from isheep.stages.base import Stage, template
from isheep.training.forms import asked
from isheep.training.objective import OBJECTIVES

# By name, imported when asked for: the code of a trainer counts in the digest of what it made, and in no other.
TRAINERS = {"trl": "isheep.training.launch:launch", "fake": "isheep.training.fake:launch"}


def start(run: Run, i: int) -> int:
    """Return which model the training of iter_i starts from: iter_{i-1}, or the base."""
    return i - 1 if run.train.start_from == "previous" else 0


def data(run: Run, i: int) -> range:
    """Return which d_i train iter_i: the round before it, all rounds before it, or the two before it."""
    return range({"current": i - 1, "all": 0, "last_two": max(0, i - 2)}[run.train.data], i)


def _code(run: Run) -> list[str]:
    objective = [module_file(OBJECTIVES[run.train.objective])] if run.train.trainer == "trl" else []
    return [module_file(TRAINERS[run.train.trainer]), *objective]


STAGE = Stage(
    "train_adapter",
    about="trains a LoRA adapter on the data of the round before, or of all rounds before",
    place=80,
    folder="iter_{i}",
    makes=("adapter", "training.json"),
    of="trained",
    settings=("seed", "model", "train"),
    # A run that an alarm may stop never waits in another's stead, nor makes another stop.
    decides=lambda run: {"stops": run.health.alarms.stopping},
    reads=lambda at: {"selected": [at.data(i) for i in data(at.run, at.i)]},
    files=lambda run: [*template(run), *([run.train.forms] if run.train.forms else [])],
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
        "selected": [digest_file(file) for file in this.input.selected],
        "model": read_json(this.input.identity)["sha256"],
    }
    work = this.work_folder(digest(depends_on))
    every = chain.from_iterable(map(read_rows, this.input.selected))
    first = islice(every, this.run.train.max_rows)
    write_rows(work / "rows.jsonl", asked(first, this.run.train, this.run.seed))
    report = resolve_name(TRAINERS[this.run.train.trainer])(
        this.run.train,
        this.run.model,
        this.model_folder,
        work / "rows.jsonl",
        Path(this.output.adapter),
        work,
        this.run.seed,
        this.threads,
        this.gpus,
    )
    this.log_timing(report.pop("timing"))
    this.tokens = {"trained": report["tokens"]}
    return {"report": report}
