"""Rule identify_model: the hash of the base model's weights and tokenizer."""

from isheep.data.files import digest, write_json
from isheep.runner import job
from isheep.serving import models, preflight

with job.of(snakemake) as this:
    if this.model_folder is None:
        identity = {"sha256": digest("the fake engine's base model"), "files": {}}
    else:
        preflight.check_loaded(this.model_folder, this.run.model, this.run.engine.context_length, this.run.train)
        identity = models.identity(this.model_folder)
    write_json(this.output.identity, identity)
