"""Rule classify_prompts and its shards: which prompts have a small set of right answers."""

from isheep.runner import stage
from isheep.stages import classify_prompts

stage.run(snakemake, classify_prompts)
