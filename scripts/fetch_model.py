"""Rule fetch_model: a base model from a GGUF or from the hub, as safetensors."""

from pathlib import Path

from isheep.config.gguf import Gguf
from isheep.runner import job
from isheep.serving import models
from isheep.serving.gguf import convert

with job.of(snakemake, "fetch_model") as this:
    source = this.params.source
    if source["gguf"]:
        convert.convert(Gguf(**source["gguf"]), Path(this.output.model))
    else:
        models.download(source["hub"], source["revision"], Path(this.output.model))
