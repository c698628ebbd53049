"""What a dry run costs, and how much of it is Snakemake's: this workflow beside plain rules of the same number of jobs.

python benchmarks/dry_run.py --runs 10 --rounds 6 --shards 8

The plain rules have strings for inputs, three outputs, a script, no function, no params and no settings: what they
take, any workflow of so many jobs takes. Both are asked in turn; processor seconds (user time of the child) count.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARDED = ("generate_prompts", "generate_outputs", "assess_outputs")

RUN = """  r{run}:
    preset: fake
    recipe: i_sheep
    seed: {run}
    rounds: {rounds}
    prompts: {{rows: 40, shots: 3, tasks_per_request: 5}}
    select: {{kind: quantile, column: pmi, share: 0.5, floor: 4}}
"""

PLAIN = """
rule all:
    input: expand("results/{{run}}/d_{{i}}/s{last}", run=range({runs}), i=range({rounds}))
for n in range({stages}):
    rule:
        name: f"s{{n}}"
        input:
            f"results/{{{{run}}}}/d_{{{{i}}}}/s{{n - 1}}" if n else [],
            [
                f"results/{{{{run}}}}/d_{{{{i}}}}/.shards/s{{n}}/{{k}}"
                for k in range({shards})
                if n in {sharded}
            ],
        output: [f"results/{{{{run}}}}/d_{{{{i}}}}/s{{n}}{{end}}" for end in ("", ".b", ".c")]
        script: "stage.py"
    if n in {sharded}:
        rule:
            name: f"s{{n}}_shard"
            input: f"results/{{{{run}}}}/d_{{{{i}}}}/s{{n - 1}}"
            output: f"results/{{{{run}}}}/d_{{{{i}}}}/.shards/s{{n}}/{{{{shard}}}}"
            script: "stage.py"
"""


def seconds(folder: Path, *words: str) -> tuple[float, int]:
    """Return the processor seconds of a dry run and its number of jobs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = ["snakemake", "--dry-run", "--quiet", "rules", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    if done.returncode:
        sys.exit(done.stderr or done.stdout)
    total = next(line for line in done.stdout.splitlines() if line.startswith("total "))
    return took, int(total.split()[1])


def main() -> None:
    """Print the seconds of both, the medians of some repeats, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("runs", 10), ("rounds", 6), ("shards", 8), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        ours, plain = Path(temporary) / "ours", Path(temporary) / "plain"
        ours.mkdir()
        plain.mkdir()
        runs = "".join(RUN.format(run=run, rounds=asked.rounds) for run in range(asked.runs))
        shards = "".join(f"  {stage}: {asked.shards}\n" for stage in SHARDED)
        (ours / "config.yaml").write_text(f"shards:\n{shards}runs:\n{runs}")
        call = ["--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "profiles/default")]
        call += ["--configfile", "config.yaml"]
        jobs = seconds(ours, *call)[1]
        # As many plain jobs, to the stage: three of the stages are sharded.
        stages = round(jobs / asked.runs / asked.rounds) - len(SHARDED) * asked.shards
        numbers = {"stages": stages, "last": stages - 1, "sharded": {1, 3, 5}}
        (plain / "Snakefile").write_text(PLAIN.format(**vars(asked), **numbers))
        (plain / "stage.py").touch()
        took: dict[str, list[float]] = {"this workflow": [], "plain rules": []}
        for _ in range(asked.repeats):
            took["this workflow"].append(seconds(ours, *call)[0])
            spent, plain_jobs = seconds(plain, "--cores", "1")
            took["plain rules"].append(spent)
    medians = {name: statistics.median(values) for name, values in took.items()}
    for (name, value), count in zip(medians.items(), (jobs, plain_jobs), strict=True):
        print(f"{name}: {count:,} jobs, {value:.1f} processor seconds ({value / count * 1000:.1f} ms a job)")
    print(f"ratio: {medians['this workflow'] / medians['plain rules']:.2f}")


if __name__ == "__main__":
    main()
