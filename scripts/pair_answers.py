"""Rule pair_answers and its shards: preference pairs of a round's answers."""

from isheep.runner import stage
from isheep.stages import pair_answers

stage.run(snakemake, pair_answers)
