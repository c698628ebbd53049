"""Rule filter_outputs: rules drop broken answers; each dropped row keeps the name of its rule."""

from isheep.runner import stage
from isheep.stages import filter_outputs

stage.run(snakemake, filter_outputs)
