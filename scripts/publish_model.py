"""Rule publish_model: iter_i as a model folder with its card."""

from pathlib import Path

from isheep.proof import handover
from isheep.proof.results import Results
from isheep.runner import job

with job.of(snakemake, "publish_model") as this:
    handover.publish_model(
        Results(Path(this.input.manifest).parent),
        this.run,
        this.round,
        Path(this.input.merged),
        Path(this.input.adapter),
        this.model_folder,
        Path(this.input.template),
        Path(this.output.folder),
    )
