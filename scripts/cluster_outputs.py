"""Rule cluster_outputs: which rows lie close together in a model's last layer."""

from isheep.runner import stage
from isheep.stages import cluster_outputs

stage.run(snakemake, cluster_outputs)
