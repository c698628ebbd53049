"""Rule generate_prompts and its shards: the first N new tasks that the model writes, in request order."""

from isheep.runner import stage
from isheep.stages import generate_prompts

stage.run(snakemake, generate_prompts)
