"""Rule assess_outputs_shard: the scores of every n-th row; the results stay in the stage's journal."""

from isheep.assess import stage
from isheep.assess.plan import plan
from isheep.data.rows import read_rows
from isheep.runner import model_job

with model_job.of(snakemake) as this, this.dispatcher() as dispatcher:
    shard, count = this.shard
    todo = plan(this.run, this.template, this.params.judge, this.round, list(read_rows(this.input.filtered)))
    asked = todo.asked[shard::count]
    dispatcher.complete(stage.completions(asked, todo.assessors))
    dispatcher.score(stage.scorings(asked, todo.assessors))
    this.finish_shard(len(asked))
