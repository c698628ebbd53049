"""Rule match_demonstrations: which answered tasks lie nearest to each prompt."""

from isheep.runner import stage
from isheep.stages import match_demonstrations

stage.run(snakemake, match_demonstrations)
