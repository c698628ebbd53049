"""Rule calibrate_judge: the judge is tried on spoilt answers and on answers without skill, before it counts."""

from isheep.data.files import write_json
from isheep.evaluation.judging import calibrate
from isheep.runner import judge_job

with judge_job.of(snakemake) as this, this.asking() as (send, failures):
    write_json(this.output.calibration, calibrate(this.run.evaluation, this.base_answers, send, failures))
