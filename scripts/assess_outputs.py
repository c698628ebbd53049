"""Rule assess_outputs and its shards: every assessor's scores, and how well each tells right from shuffled pairs."""

from isheep.runner import stage
from isheep.stages import assess_outputs

stage.run(snakemake, assess_outputs)
