"""Rule judge_answers: the judge grades and compares what the model answered."""

from isheep.data.files import write_json
from isheep.data.rows import read_rows, write_rows
from isheep.evaluation.judging import judge
from isheep.runner import judge_job

with judge_job.of(snakemake) as this, this.asking() as (send, failures):
    rivals = this.base_answers if this.round else {}
    rows, judging = judge(this.run.evaluation, list(read_rows(this.input.answers)), rivals, send, failures)
    write_json(this.output.judging, judging)
    write_rows(this.output.rows, rows)
