"""Rule archive_run: a verified run in one file."""

from pathlib import Path

from isheep.proof import archive
from isheep.proof.results import Results
from isheep.runner import job

with job.of(snakemake, "archive_run") as this:
    base = Path(this.params.base) if this.params.base else None
    archive.pack(
        Results(Path(this.input.manifest).parent), Path(this.output.archive), this.run.publish, base, this.threads
    )
