"""Rule generate_prompts_shard: its part of the first wave of requests; the results stay in the stage's journal."""

from isheep.prompts import maker as prompts
from isheep.runner import model_job

with model_job.of(snakemake) as this, this.dispatcher() as dispatcher:
    maker = prompts.PromptMaker.of(this.run, this.round, this.input.seeds, this.input.meta_prompt)
    requests = prompts.first_wave_of_shard(maker, *this.shard)
    dispatcher.complete(requests)
    this.finish_shard(len(requests))
