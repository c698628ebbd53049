"""Rule write_study: every number of a study's runs as one tidy table, its metrics over seeds, and a plot."""

from isheep.data.files import publish
from isheep.report.gather import gather
from isheep.report.study import over_seeds, plot, table
from isheep.runner import job
from isheep.runner.portable import portable_places, renamed

with job.of(snakemake, "write_study") as this:
    reports = [
        gather(run, renamed(told["settings"], portable_places(told["settings"])), told["records"], with_rows=False)
        for run, told in this.params.runs.items()
    ]
    for file, frame in ((this.output.table, table), (this.output.seeds, over_seeds)):
        with publish(file) as temporary:
            frame(reports, this.params.axes).to_csv(temporary, index=False, lineterminator="\n")
    with publish(this.output.plot) as temporary:
        temporary.write_text(plot(reports), encoding="utf-8", newline="\n")
