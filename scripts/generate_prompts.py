"""Rule generate_prompts: the first N new tasks that the model writes, in request order."""

from isheep.data.files import write_json
from isheep.data.rows import read_rows, write_rows
from isheep.prompts import maker as prompts
from isheep.runner import model_job

with model_job.of(snakemake) as this, this.dispatcher() as dispatcher:
    maker = prompts.PromptMaker.of(this.run, this.round, this.input.seeds, this.input.meta_prompt)
    earlier = [row for file in this.input.get("earlier", []) for row in read_rows(file)]
    made = prompts.gather(maker, dispatcher.complete, dispatcher.result, earlier)

    write_rows(this.output.rejected, made.rejected)
    counts = {"requests": made.requests, "completion_tokens": made.tokens}
    write_json(this.output.funnel, made.funnel.record(len(made.rows), len(made.rejected), **counts))
    this.keep_shard_count()
    write_rows(this.output.rows, made.rows)
