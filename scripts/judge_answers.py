"""Rule judge_answers: the judge grades and compares what the model answered."""

from isheep.runner import stage
from isheep.stages import judge_answers

stage.run(snakemake, judge_answers)
