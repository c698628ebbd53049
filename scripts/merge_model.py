"""Rule merge_model: adapter and model become iter_i, checked on real prompts of the data that trained it."""

from pathlib import Path

from isheep.data.files import write_json
from isheep.data.rows import read_rows
from isheep.runner import job
from isheep.serving import models
from isheep.training import fake, merge

with job.of(snakemake) as this:
    fold = fake.merge if this.run.train.trainer == "fake" else merge.merge
    report = fold(
        this.run.merge,
        this.run.model,
        this.model_folder,
        Path(this.input.adapter),
        Path(this.output.model),
        list(read_rows(this.input.selected)),
        this.threads,
    )
    this.log_timing(report.pop("timing", {}))
    write_json(this.output.report, report)
    write_json(this.output.identity, models.identity(Path(this.output.model)))
