"""Rule gather_manifest: every record of a run as one graph, and the same as an RO-Crate."""

from isheep import job
from isheep.proof import crate, manifest
from isheep.proof.results import CRATE
from isheep.provenance import write_record
from isheep.records import digest_file, write_json

with job.of(snakemake) as this:
    gathered = manifest.gather(
        this.wildcards.run, this.params.settings, this.input.records, this.input.files, this.root
    )
    write_json(this.output.crate, crate.crate(gathered))
    gathered["observed"]["exports"] = {CRATE: digest_file(this.output.crate)}
    write_record(this.output.manifest, gathered["made"], gathered["observed"])
