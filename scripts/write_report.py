"""Rule write_report: everything about a run on one HTML page, with nothing outside it."""

from pathlib import Path

from isheep.data.files import publish
from isheep.documents.tables import write_frames
from isheep.report.frames import frames_beside
from isheep.report.gather import gather
from isheep.report.page import render
from isheep.runner import job
from isheep.runner.portable import portable_places, renamed

with job.of(snakemake, "write_report") as this, publish(this.output.page) as temporary:
    settings = renamed(this.params.resolved, portable_places(this.params.resolved))
    report = gather(this.wildcards.run, settings, this.input.records)
    temporary.write_text(render(report), encoding="utf-8", newline="\n")
    write_frames(frames_beside(report), Path(this.output.page).parent)
