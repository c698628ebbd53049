"""Rule train_adapter: d_{i-1} trains a LoRA adapter; checkpoints in the work folder let it go on when killed."""

from pathlib import Path

from isheep.data.files import digest, digest_file, read_json, write_json
from isheep.runner import job
from isheep.training.launch import launch

with job.of(snakemake) as this:
    depends_on = {
        "settings": this.params.settings,
        "code": this.params.code,
        "selected": digest_file(this.input.selected),
        "model": read_json(this.input.identity)["sha256"],
    }
    report = launch(
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
    write_json(this.output.report, report)
