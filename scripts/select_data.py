"""Rule select_data: the rows that train the next model, d_i."""

from isheep.runner import stage
from isheep.stages import select_data

stage.run(snakemake, select_data)
