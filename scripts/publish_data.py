"""Rule publish_data: d_i as a data set with its card."""

from pathlib import Path

from isheep.proof import handover
from isheep.proof.results import Results
from isheep.runner import job

with job.of(snakemake, "publish_data") as this:
    handover.publish_data(
        Results(Path(this.input.manifest).parent),
        this.run,
        this.round,
        Path(this.input.selected),
        Path(this.input.adapter),
        this.model_folder,
        Path(this.input.template),
        Path(this.output.folder),
    )
