"""Rule calibrate_judge: the judge is tried on spoilt answers and on answers without skill, before it counts."""

from isheep.runner import stage
from isheep.stages import calibrate_judge

stage.run(snakemake, calibrate_judge)
