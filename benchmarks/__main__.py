"""Every benchmark in small settings, then goals beside results: `make bench`, or `python benchmarks [NAME ...]`.

Each prints its figures as it does alone; what the table shows is read from there. To add one, add an entry to
`BENCHMARKS`: its command, and for each goal a name, a pattern whose group is the number, and the most that it may be.
Those that need weights run where models/ has them; what fails or is missing has a line, too.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODEL = "models/SmolLM2-135M-Instruct.Q4_1"


@dataclass(frozen=True)
class Goal:
    """A figure in a benchmark's output: its name, the pattern that finds it, the most or the least that is aimed at."""

    name: str
    pattern: str
    most: float | None = None
    least: float | None = None

    def row(self, output: str) -> tuple[str, str, str, str]:
        """Return name, result, goal and verdict."""
        matched = re.search(self.pattern, output, re.MULTILINE)
        goal = f"at most {self.most:g}" if self.most is not None else f"at least {self.least:g}" if self.least else ""
        if matched is None:
            return self.name, "not measured", goal, "-"
        value = float(matched[1].replace(",", ""))
        good = (self.most is None or value <= self.most) and (self.least is None or value >= self.least)
        return self.name, f"{value:g}", goal, ("met" if good else "missed") if goal else "-"


@dataclass(frozen=True)
class Benchmark:
    """A command (`{}` is an empty folder), what is read from its output, and the folder of a model that it needs."""

    command: str
    goals: tuple[Goal, ...]
    needs: str = ""


def stages(rows: str) -> tuple[Goal, ...]:
    """Return the goals of the row stages at a number of rows."""
    last = rf"^\| {rows} \| goal.*?\| [\d.]+ \|"
    return (
        Goal(f"row stages, {rows} rows: ms a row", rf"{last} ([\d.]+)", most=0.3),
        Goal(f"row stages, {rows} rows: MiB", rf"{last} [\d.]+ \| ([\d,]+)", most=2048),
        Goal(f"report of {rows} rows opens: s", rf"^page of {rows} rows: .* opens in ([\d.]+)", most=3),
    )


def dedup(texts: str, most: float) -> Goal:
    """Return the goal of the near-duplicate search at a number of texts."""
    return Goal(f"near-duplicates, {texts} texts: s", rf"^\| zipf \| {texts} \| [\d,]+ \| ([\d.]+)", most=most)


MILLION = r"^\| 1,000,000 \| [\d.]+ \| ([\d,]+)"
BENCHMARKS = (
    Benchmark("row_stages.py 10000 100000", (*stages("10,000"), *stages("100,000"))),
    Benchmark("many_rows.py 1000000", (Goal("journal, 1,000,000: MiB", MILLION, most=2048),)),
    Benchmark(
        "dedup.py 100000",
        (
            *(dedup(*pair) for pair in (("4,000", 0.7), ("10,000", 2), ("100,000", 60))),
            Goal("near-duplicates against rouge_score's loop: ratio", r"^\| zipf \| 4,000 .* (\d+) \|$", least=500),
        ),
    ),
    Benchmark("health_speed.py 10000", (Goal("health of 10,000 rows: s", r"^all +([\d.]+) s"),)),
    Benchmark(
        "dry_run.py --runs 10 --rounds 6 --shards 8 --repeats 1",
        (
            Goal("dry run of 10 x 6 x 8: s", r"^this workflow: .* ([\d.]+) processor", most=5),
            Goal("dry run against plain rules: ratio", r"^ratio: ([\d.]+)"),
        ),
    ),
    Benchmark("merge_memory.py 2 {}/merge", (Goal("merge: peak in largest files", r": ([\d.]+) files$", most=2),)),
    Benchmark(
        "rehearsal.py --prompts 2000 --shards 4", (Goal("rehearsal: MiB", r"^highest peak: ([\d,]+)", most=2048),)
    ),
    Benchmark("interval_coverage.py 200", ()),
    Benchmark(
        f"top_p.py {MODEL} --requests 8 --max-tokens 16", (Goal("top-p: equal", r": (\d+) of 8", least=8),), MODEL
    ),
    Benchmark(
        f"engine.py {MODEL} --requests 128 --max-tokens 16 --repeats 2",
        (Goal("engine stages against bare vLLM: ratio", r"^ours / bare: ([\d.]+)", least=0.95),),
        MODEL,
    ),
    Benchmark(
        f"judging.py {MODEL} --rows 6",
        (Goal("scores drawn as text against likelihoods: ratio", r"^drawn as text / .*: ([\d.]+)$", least=10),),
        MODEL,
    ),
    Benchmark(
        f"waiting.py {MODEL} --bounds unset 10000 chosen passive --one --max-tokens 12",
        (Goal("engine, chosen spinning: of the best", r"^2 threads, chosen: .* ([\d.]+) of", least=0.9),),
        MODEL,
    ),
    Benchmark(
        f"waiting.py {MODEL} --what training --bounds unset 10000 chosen passive --one",
        (Goal("training, chosen spinning: of the best", r"^2 threads, chosen: .* ([\d.]+) of", least=0.9),),
        MODEL,
    ),
    Benchmark(
        f"training.py {MODEL} --rows 16 --layers 6",
        (
            Goal("training against plain TRL: ratio", r"^ours, padded against TRL.*steps ([\d.]+)", least=1),
            Goal(
                "training, packed against single rows: ratio", r"^ours, packed against ours, s.*steps ([\d.]+)", least=2
            ),
        ),
        MODEL,
    ),
    Benchmark(
        f"original_procedure.py {MODEL} --rows 16 --max-tokens 96",
        (Goal("against the described procedure: ratio", r"ratio ([\d.]+)$", least=5),),
        MODEL,
    ),
)


def run(benchmark: Benchmark) -> tuple[str, float]:
    """Return what a benchmark printed, and its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        words = benchmark.command.replace("{}", folder).split()
        started = time.monotonic()
        command = [sys.executable, str(ROOT / "benchmarks" / words[0]), *words[1:]]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                print(line, end="", flush=True)
                lines.append(line)
        if process.returncode:
            print(f"{benchmark.command}: ended with {process.returncode}", flush=True)
        return "".join(lines), time.monotonic() - started


def main(names: list[str]) -> None:
    """Run all, or those whose command begins with one of the names; print the table last."""
    table = [("what", "result", "goal", "")]
    for benchmark in BENCHMARKS:
        if names and not benchmark.command.startswith(tuple(names)):
            continue
        if benchmark.needs and not (ROOT / benchmark.needs).exists():
            table.append((benchmark.command, f"needs {benchmark.needs}", "", "-"))
            continue
        print(f"\n$ python benchmarks/{benchmark.command}", flush=True)
        output, seconds = run(benchmark)
        table += [goal.row(output) for goal in benchmark.goals]
        table.append((f"{benchmark.command.split()[0]}: took s", f"{seconds:.0f}", "", "-"))
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    print()
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main(sys.argv[1:])
