"""Rule fetch_model: a base model from an installed package's GGUF file or from the hub, as safetensors."""

from pathlib import Path

from isheep.runner import job
from isheep.serving import models

with job.of(snakemake, "fetch_model") as this:
    source = this.params.source
    if source["gguf"]:
        models.dequantise(source["gguf"], Path(this.output.model))
    else:
        models.download(source["hub"], source["revision"], Path(this.output.model))
