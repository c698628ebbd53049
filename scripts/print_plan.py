"""Rule plan: what the runs of a config will take; ends with an error where one cannot fit."""

from isheep.runner import job

with job.of(snakemake, "plan") as this:
    print(f"\n{this.params.text}")
