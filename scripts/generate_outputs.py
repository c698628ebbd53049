"""Rule generate_outputs and its shards: the model answers every prompt once."""

from isheep.runner import stage
from isheep.stages import generate_outputs

stage.run(snakemake, generate_outputs)
