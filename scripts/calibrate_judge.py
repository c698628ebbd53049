"""Rule calibrate_judge: the judge is tried on spoilt answers and on answers without skill, before it counts."""

from isheep import judge_job
from isheep.evaluation.judging import calibrate
from isheep.records import write_json

with judge_job.of(snakemake) as this, this.asking() as (send, failures):
    write_json(this.output.calibration, calibrate(this.run.evaluation, this.base_answers, send, failures))
