"""Rule identify_judge: the hash of the evaluation's own judge, where it has one that runs here."""

from isheep.runner import stage
from isheep.stages import identify_judge

stage.run(snakemake, identify_judge)
