"""Rule filter_outputs: rules drop broken answers; each dropped row keeps the name of its rule."""

from isheep.data.files import write_json
from isheep.data.rows import read_rows, write_rows
from isheep.filters.registry import resolve
from isheep.outputs.answers import filter_rows
from isheep.runner import job

with job.of(snakemake) as this:
    rules = resolve("outputs", this.run.outputs.rules)
    kept, rejected, funnel = filter_rows(read_rows(this.input.outputs), rules, this.round)

    write_rows(this.output.rejected, rejected)
    write_json(this.output.funnel, funnel.record(len(kept), len(rejected)))
    write_rows(this.output.rows, kept)
