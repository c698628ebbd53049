"""Rule train_adapter: d_{i-1} trains a LoRA adapter; checkpoints in the work folder let it go on when killed."""

from isheep.runner import stage
from isheep.stages import train_adapter

stage.run(snakemake, train_adapter)
