"""Rule probe_data: what the base model makes of a sample of the round's rows."""

from isheep.data.rows import read_rows
from isheep.health import probe, readings, sample
from isheep.runner import model_job

with (
    model_job.of(snakemake) as this,
    this.journal(probe.engine_for(this.run.engine), code=("isheep/health/probe.py",)) as opened,
):
    plain = None if this.knows_template(0) else this.run.outputs.plain
    rows = sample.draw(read_rows(this.input.selected), this.run.health.sample)
    found = probe.probe(rows, this.template, plain, *opened)
    this.tokens = {"prompt": 0, "completion": 0, "scored": sum(row["tokens"] for row in found.rows)}
    readings.write(this.output.rows, this.output.embeddings, found)
