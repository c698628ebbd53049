"""Rule identify_judge: the hash of the judge's weights and tokenizer."""

from isheep.data.files import digest, write_json
from isheep.runner import job
from isheep.serving import models, preflight

with job.of(snakemake) as this:
    judge = this.run.evaluation.judge
    if this.model_folder is None:
        identity = {"sha256": digest("the fake engine's judge"), "files": {}}
    else:
        preflight.check_loaded(this.model_folder, judge.model, (judge.engine or this.run.engine).context_length)
        identity = models.identity(this.model_folder)
    write_json(this.output.identity, identity)
