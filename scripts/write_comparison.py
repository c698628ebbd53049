"""Rule write_comparison: the runs of a config side by side on one page, the paper's tables beside them."""

import yaml

from isheep import job
from isheep.records import publish
from isheep.report.compare import render
from isheep.report.gather import gather

with job.of(snakemake) as this, publish(this.output.page) as temporary:
    reports = [
        gather(run, told["settings"], told["records"], with_rows=False) for run, told in this.params.runs.items()
    ]
    with open(this.input.paper, encoding="utf-8") as handle:
        paper = yaml.safe_load(handle)
    temporary.write_text(render(reports, paper), encoding="utf-8", newline="\n")
