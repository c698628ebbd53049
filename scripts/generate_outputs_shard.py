"""Rule generate_outputs_shard: the model answers every n-th prompt; the results stay in the stage's journal."""

from isheep.data.rows import read_rows
from isheep.outputs import answers as outputs
from isheep.runner import model_job

with model_job.of(snakemake) as this, this.dispatcher() as dispatcher:
    shard, count = this.shard
    prompts = list(read_rows(this.input.prompts))[shard::count]
    settings = this.run.outputs
    plain = None if this.knows_template(this.round) else settings.plain
    dispatcher.complete(outputs.requests(prompts, settings, this.template, plain, this.run.seed, this.round))
    this.finish_shard(len(prompts))
