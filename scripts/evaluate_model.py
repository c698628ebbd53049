"""Rule evaluate_model: the model answers the items of every benchmark."""

from isheep.data.rows import write_rows
from isheep.evaluation import stage
from isheep.runner import model_job

with model_job.of(snakemake) as this, this.dispatcher() as dispatcher:
    benchmarks, _ = stage.load(this.run.evaluation)
    template = this.template if this.knows_template(this.round) else None
    send = stage.to_engine(dispatcher, template, this.run.outputs.plain, this.run.seed)
    rows = stage.ask(benchmarks, "model", send)
    this.keep_shard_count()
    write_rows(this.output.rows, rows)
