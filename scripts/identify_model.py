"""Rule identify_model: the hash by which every stage knows iter_0, and whether the folder can be used at all."""

from isheep.runner import stage
from isheep.stages import identify_model

stage.run(snakemake, identify_model)
