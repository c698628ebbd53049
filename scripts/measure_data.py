"""Rule measure_data: what the round's data is like, and which alarms ring."""

import logging

from isheep.data.files import write_json
from isheep.health import alarms, readings
from isheep.health.stage import Files, measure
from isheep.runner import job
from isheep.workflow import graph

with job.of(snakemake) as this:
    files = Files(
        this.input.made,
        this.input.evaluated,
        this.input.selected,
        this.input.earlier,
        this.run.seeds.path,
        graph.evaluation_files(this.run),
    )
    probed = [readings.read(*pair) for pair in zip(this.input.probes, this.input.embeddings, strict=True)]
    document = measure(this.run, this.round, files, probed)
    for line in alarms.lines(document):
        logging.getLogger("isheep").warning("%s d_%d: %s", this.wildcards.run, this.round, line)
    write_json(this.output.health, document)
