"""Rule write_comparison: the runs of a config side by side on one page, the paper's tables beside them."""

import yaml

from isheep.data.files import publish
from isheep.report.compare import render
from isheep.report.gather import gather
from isheep.runner import job
from isheep.runner.portable import portable_places, renamed

with job.of(snakemake, "write_comparison") as this, publish(this.output.page) as temporary:
    reports = []
    for run, told in this.params.runs.items():
        settings = renamed(told["settings"], portable_places(told["settings"]))
        reports.append(gather(run, settings, told["records"], with_rows=False))
    with open(this.input.paper, encoding="utf-8") as handle:
        paper = yaml.safe_load(handle)
    temporary.write_text(render(reports, paper, this.wildcards.name), encoding="utf-8", newline="\n")
