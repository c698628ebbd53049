"""Rule score_model: every benchmark's metrics with floors, intervals and differences; programs run in the sandbox."""

from isheep.runner import stage
from isheep.stages import score_model

stage.run(snakemake, score_model)
