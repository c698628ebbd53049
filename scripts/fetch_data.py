"""Rule fetch_data: a benchmark's data set from the hub, as rows in a file."""

from isheep.evaluation.files import fetch
from isheep.runner import job

with job.of(snakemake, "fetch_data") as this:
    fetch(**this.params.source, path=this.output.rows)
