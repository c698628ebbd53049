"""Rule run_harness: tasks of lm-eval on the model, through lm-eval's own model classes."""

import logging

from isheep.data.files import write_json
from isheep.errors import UserError
from isheep.evaluation import harness
from isheep.runner import job
from isheep.runner.portable import without_place

with job.of(snakemake) as this:
    try:
        results = harness.run(this.run, this.model_folder, this.threads, this.gpus, floor=this.round == 0)
        this.tokens = results["tokens"]
    except UserError as error:
        logging.getLogger("isheep").error("%s", error)
        results = {"error": without_place(str(error), this.params.model_folder or "")}
    write_json(this.output.results, results)
