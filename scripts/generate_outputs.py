"""Rule generate_outputs: the model answers every prompt once."""

from isheep.data.files import write_json
from isheep.data.rows import read_rows, write_rows
from isheep.outputs import answers as outputs
from isheep.runner import model_job

with model_job.of(snakemake) as this, this.dispatcher() as dispatcher:
    prompts = list(read_rows(this.input.prompts))
    settings = this.run.outputs
    plain = None if this.knows_template(this.round) else settings.plain
    dispatcher.complete(outputs.requests(prompts, settings, this.template, plain, this.run.seed, this.round))
    rows, funnel = outputs.answer(prompts, dispatcher.result, this.round)

    write_json(this.output.funnel, funnel.record(len(rows), 0, **outputs.token_counts(rows)))
    this.keep_shard_count()
    write_rows(this.output.rows, rows)
