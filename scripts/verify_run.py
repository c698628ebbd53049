"""Rule verify: every artifact of every run hashed again and checked against its record, its settings and its code."""

from pathlib import Path

from isheep import config
from isheep.data.files import write_json
from isheep.errors import UserError
from isheep.proof.results import VERIFICATION, Results
from isheep.proof.stale import stale
from isheep.proof.verify import verify
from isheep.runner import job
from isheep.workflow import graph

with job.of(snakemake, "verify") as this:
    now = graph.Graph(config.load(snakemake.config, this.root), this.root)
    failed, others = [], sorted(file.parent.name for file in Path("results").glob("*/config.yaml"))
    for run in now.config.runs:
        try:
            results = Results(f"results/{run}")
        except UserError as error:
            there = [f"snakemake verify --configfile results/{other}/config.yaml" for other in others if other != run]
            hint = f". To verify what is there: {there[0]}" if there and run not in others else ""
            print(f"{run}: NOT verified: {error}{hint}", flush=True)
            failed.append(run)
            continue
        folders = [now.weights(run, stage, 0) for stage in ("identify_model", "identify_judge")]
        models = (Path(folder) if folder else None for folder in folders)
        found, stages = verify(results, this.threads, *models)
        code = results.manifest["made"]["code"]["files"] if results.manifest else None
        found.findings += stale(now, run, stages, code)
        found.sort(stages)
        write_json(results.folder / VERIFICATION, found.document())
        print(*found.lines(), sep="\n", flush=True)
        failed += [] if found.ok else [run]
    if failed:
        raise UserError(f"not verified: {', '.join(failed)}; results/*/{VERIFICATION} tell all")
