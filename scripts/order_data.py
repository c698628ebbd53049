"""Rule order_data: the rows that train the next model, in the order in which it sees them."""

from isheep.runner import stage
from isheep.stages import order_data

stage.run(snakemake, order_data)
