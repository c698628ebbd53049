"""Rule merge_model: adapter and model become iter_i, checked on real prompts of the data that trained it."""

from isheep.runner import stage
from isheep.stages import merge_model

stage.run(snakemake, merge_model)
