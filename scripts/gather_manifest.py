"""Rule gather_manifest: every record of a run as one graph, and the same as an RO-Crate."""

from pathlib import Path

from isheep.data.files import digest_file, write_json
from isheep.errors import UserError
from isheep.proof import crate, licences, manifest, stale
from isheep.runner import job
from isheep.runner.record import write_record
from isheep.workflow import graph

with job.of(snakemake, "gather_manifest") as this:
    gathered = manifest.gather(
        this.wildcards.run,
        this.params.settings,
        [*this.input.records, this.input.summary],
        this.input.files,
        this.root,
    )
    now = graph.Graph(this.config, this.root)
    for finding in stale.changed_settings(now, this.wildcards.run, gathered["made"]["stages"])[:1]:
        raise UserError(f"{finding.artifact}: {finding.message}")
    stated = licences.stated(this.run, graph.base_folder(this.run.model))
    write_json(this.output.crate, crate.crate(gathered, stated))
    # Vouched for, but not hashed with the rest: equal runs may differ in times, resources or folders.
    exports = [this.output.crate, *this.input.exports]
    gathered["observed"]["exports"] = {Path(file).name: digest_file(file) for file in exports}
    write_record(this.output.manifest, gathered["made"], gathered["observed"])
