"""Rule summarise_run: the funnel of every round as a table, the assessors' discrimination, the models' paths."""

from itertools import chain, zip_longest

from isheep.data.files import publish, read_json
from isheep.report.summary import write_summary
from isheep.runner import job

with job.of(snakemake, "summarise_run") as this, publish(this.output.summary) as temporary:
    checks = filter(any, zip_longest(this.input.discriminations, this.input.pair_checks))
    text = write_summary(
        this.wildcards.run,
        [read_json(file) for file in this.input.funnels],
        [dict(chain.from_iterable(read_json(file).items() for file in files if file)) for files in checks],
        [read_json(file) for file in this.input.trainings],
        [read_json(file) for file in this.input.mergings],
        [str(file).replace("merging.json", "model") for file in this.input.mergings],
        [read_json(file) for file in this.input.scores],
        [read_json(file) for file in this.input.healths],
        this.run.model_dump(mode="json"),
    )
    temporary.write_text(text, encoding="utf-8")
