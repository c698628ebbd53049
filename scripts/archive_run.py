"""Rule archive_run: a verified run in one file."""

from pathlib import Path

from isheep import job
from isheep.proof import archive
from isheep.proof.results import Results

with job.of(snakemake) as this:
    base = Path(this.params.base) if this.params.base else None
    archive.pack(
        Results(Path(this.input.manifest).parent), Path(this.output.archive), this.run.publish, base, this.threads
    )
