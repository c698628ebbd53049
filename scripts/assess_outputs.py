"""Rule assess_outputs: every assessor's scores for every row, and how well each tells matched from shuffled pairs."""

import logging

from isheep.assess import discrimination, stage
from isheep.assess.plan import plan
from isheep.data.files import write_json
from isheep.data.rows import read_rows, write_rows
from isheep.runner import model_job

with model_job.of(snakemake) as this, this.dispatcher() as dispatcher:
    todo = plan(this.run, this.template, this.params.judge, this.round, list(read_rows(this.input.filtered)))
    dispatcher.complete(stage.completions(todo.asked, todo.assessors))
    dispatcher.score(stage.scorings(todo.asked, todo.assessors))
    rows, rejected, funnel = stage.assess_rows(todo.rows, todo.assessors, dispatcher.result, this.round)
    warn_below = this.run.assess.discrimination.warn_below
    measured = discrimination.discrimination(todo.pairs, todo.assessors, dispatcher.result, warn_below)
    for line in discrimination.warnings(measured):
        logging.getLogger("isheep").warning(line)

    write_json(this.output.discrimination, measured)
    write_rows(this.output.rejected, rejected)
    write_json(this.output.funnel, funnel.record(len(rows), len(rejected)))
    this.keep_shard_count()
    write_rows(this.output.rows, rows)
