"""Rule select_data: the rows that train the next model, d_i."""

from isheep.data.files import write_json
from isheep.data.rows import read_rows, write_rows
from isheep.runner import job
from isheep.select.rows import select

with job.of(snakemake) as this:
    kept, rejected, funnel = select(list(read_rows(this.input.evaluated)), this.run.select, this.round)

    write_rows(this.output.rejected, rejected)
    write_json(this.output.funnel, funnel.record(len(kept), len(rejected)))
    write_rows(this.output.rows, kept)
