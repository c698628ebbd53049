"""A rehearsal of a large round on the fake engine: every job of the graph, many shards, no model.

PYTHONPATH=scripts python benchmarks/rehearsal.py --prompts 100000 --shards 64

Prints what each stage took and held at most, from the records that it left, and how many files there are. Texts of the
fake engine repeat themselves, so prompts are not compared with each other here; benchmarks/dedup.py measures that.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from isheep.data.files import read_json

ROOT = Path(__file__).resolve().parents[1]
SHARDED = ("generate_prompts", "generate_outputs", "assess_outputs")


def settings(prompts: int, shards: int) -> dict[str, Any]:
    """Return a config of one run of one round."""
    run = {
        "preset": "fake",
        "recipe": "i_sheep",
        "rounds": 1,
        "prompts": {"rows": prompts, "tasks_per_request": 10, "compare_with": [], "sampling": {"max_tokens": 400}},
        "outputs": {"sampling": {"max_tokens": 120}},
        "select": {"kind": "quantile", "column": "pmi", "share": 0.1},
        "evaluation": {"benchmarks": {"heldout": None, "constraints": None}},
        "train": {"checkpoint_steps": 1000},
    }
    return {"runs": {"rehearsal": run}, "shards": dict.fromkeys(SHARDED, shards)}


def rehearse(folder: Path, prompts: int, shards: int, cores: int) -> float:
    """Run the workflow in a folder; return the seconds that it took."""
    (folder / "config").symlink_to(ROOT / "config")
    (folder / "config.yaml").write_text(yaml.safe_dump(settings(prompts, shards)))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", str(cores)]
    command += ["--profile", str(ROOT / "profiles/default"), "--quiet", "all", "--configfile", "config.yaml"]
    started = time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)
    if done.returncode:
        sys.exit(done.stdout[-4000:] + done.stderr[-4000:])
    return time.monotonic() - started


def stages(folder: Path) -> list[tuple[str, float, float, float]]:
    """Return stage, seconds of the job that made it, seconds of its shards together, peak MiB, in order of time."""
    rows = []
    for file in folder.glob("results/rehearsal/**/records/*.json"):
        made, seen = (read_json(file)[key] for key in ("made", "observed"))
        shards = sum(shard["seconds"] for shard in seen.get("shards", ()))
        rows.append((seen["started"], made["stage"], seen["seconds"], shards, seen["peak_memory_mib"]))
    return [row[1:] for row in sorted(rows)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("prompts", 10_000), ("shards", 8), ("cores", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--folder", type=Path, help="where to work, kept afterwards; by default removed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        took = rehearse(folder, asked.prompts, asked.shards, asked.cores)
        print("| stage | seconds | of its shards | peak MiB |\n|---|---|---|---|")
        told = stages(folder)
        for stage, seconds, shards, peak in told:
            print(f"| {stage} | {seconds:.1f} | {f'{shards:.1f}' if shards else ''} | {peak:,.0f} |")
        places = {name: [p for p in folder.glob(f"{name}/**/*") if p.is_file()] for name in ("results", "logs")}
        bytes_ = sum(file.stat().st_size for file in places["results"])
        manifest = (folder / "results/rehearsal/manifest.json").stat().st_size
        print(f"{asked.prompts:,} prompts, {asked.shards} shards, {asked.cores} cores: {took:.0f} s")
        print(f"highest peak: {max(peak for *_, peak in told):,.0f} MiB")
        counts = {name: len(files) for name, files in places.items()}
        print(f"files: {counts['results']:,} of results, {counts['logs']:,} of logs; {bytes_ / 2**20:,.0f} MiB")
        print(f"manifest: {manifest / 1024:,.0f} KiB")


if __name__ == "__main__":
    main()
