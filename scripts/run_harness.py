"""Rule run_harness: tasks of lm-eval on the model, through lm-eval's own model classes."""

from isheep.runner import stage
from isheep.stages import run_harness

stage.run(snakemake, run_harness)
