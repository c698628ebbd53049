"""Rule freeze_config: the run's settings as resolved, every default written out."""

import yaml

from isheep.data.files import publish
from isheep.runner import job

with job.of(snakemake, "freeze_config") as this, publish(this.output.config) as temporary:
    text = yaml.safe_dump(this.params.settings, sort_keys=False, allow_unicode=True, width=120)
    temporary.write_text(text, encoding="utf-8")
