"""Rule check_data: nothing, or the end of the run when an alarm that stops it rang."""

from isheep.data.files import read_json, write_json
from isheep.health import alarms
from isheep.runner import job

with job.of(snakemake, "check_data") as this:
    alarms.refuse(read_json(this.input.health), this.input.health)
    write_json(this.output.passed, {"round": this.round})
