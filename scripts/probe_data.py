"""Rule probe_data: what the base model makes of a sample of the round's rows."""

from isheep.runner import stage
from isheep.stages import probe_data

stage.run(snakemake, probe_data)
