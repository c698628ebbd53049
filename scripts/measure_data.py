"""Rule measure_data: what the round's data is like, and which alarms ring."""

from isheep.runner import stage
from isheep.stages import measure_data

stage.run(snakemake, measure_data)
