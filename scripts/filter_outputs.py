"""Rule filter_outputs: rules drop broken answers; each dropped row keeps the name of its rule."""

from isheep import job
from isheep.records import read_rows, write_json, write_rows
from isheep.rules.registry import resolve
from isheep.synthesis.outputs import filter_rows

with job.of(snakemake) as this:
    rules = resolve("outputs", this.run.outputs.rules)
    kept, rejected, funnel = filter_rows(read_rows(this.input.outputs), rules, this.round)

    write_rows(this.output.rejected, rejected)
    write_json(this.output.funnel, funnel.record(len(kept), len(rejected)))
    write_rows(this.output.rows, kept)
