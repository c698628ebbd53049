"""Stage identify_model: the hash by which every stage knows iter_0, and whether the folder can be used at all."""

from __future__ import annotations

from isheep.data.files import digest
from isheep.runner.job import Job
from isheep.runner.stage import Made
from isheep.serving import models, preflight
from isheep.stages.base import Stage

STAGE = Stage(
    "identify_model",
    about="hashes the base model's weights and tokenizer",
    place=0,
    folder="iter_{i}",
    makes=("identity.json",),
    of="once",
    decides=lambda run: [*run.model.source, run.engine.name == "fake"],
    weights=lambda run: run.model,
    machine="merge",
)


def make(this: Job) -> Made:
    """Return the identity of the base model."""
    if this.model_folder is None:
        return {"identity": {"sha256": digest("the fake engine's base model"), "files": {}}}
    if this.run.engine.name != "fake":
        preflight.check_loaded(this.model_folder, this.run.model, this.run.engine.context_length, this.run.train)
    return {"identity": models.identity(this.model_folder)}
