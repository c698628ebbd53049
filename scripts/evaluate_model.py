"""Rule evaluate_model and its shards: the model answers the items of every benchmark."""

from isheep.runner import stage
from isheep.stages import evaluate_model

stage.run(snakemake, evaluate_model)
