"""Rule reproduce: the run that was made again, compared with the manifest it was made after."""

from pathlib import Path

from isheep.data.files import write_json
from isheep.errors import UserError
from isheep.proof import compare
from isheep.proof.results import Results, read_sealed
from isheep.runner import job

with job.of(snakemake, "reproduce") as this:
    asked = this.params.reproduction
    wanted, run, tolerance = Path(asked["manifest"]), asked["run"], asked["tolerance"]
    made = Results(f"results/{run}")
    if made.manifest is None:
        raise UserError(f"results/{run}: {made.trouble}")
    beside = wanted.parent if (wanted.parent / "iter_0").is_dir() else None
    originals = Results(beside) if beside else None
    compared = compare.compare(read_sealed(wanted), made.manifest, originals, made, tolerance)
    write_json("comparison.json", compare.document(run, compared, tolerance))
    print(*compare.lines(run, compared, tolerance), sep="\n", flush=True)
    if compare.outcome(compared) not in (compare.IDENTICAL, compare.CLOSE):
        raise UserError(f"{run} was not reproduced; comparison.json tells all")
