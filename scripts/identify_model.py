"""Rule identify_model: the hash of the base model's weights and tokenizer."""

from isheep.data.files import digest, write_json
from isheep.runner import job
from isheep.serving import models

with job.of(snakemake) as this:
    if this.model_folder is None:
        identity = {"sha256": digest("the fake engine's base model"), "files": {}}
    else:
        models.check_folder(this.model_folder, this.run.model, this.run.engine.context_length)
        identity = models.identity(this.model_folder)
    write_json(this.output.identity, identity)
