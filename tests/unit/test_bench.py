"""`make bench`: every command is there, and its table reads numbers and judges them by their goals."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUM = "| 10,000 | goal: under 0.3 ms, 2,048 MiB |"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench", ROOT / "benchmarks/__main__.py")
    module = sys.modules["bench"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bench"]


def test_every_command_is_a_file(bench):
    scripts = [benchmark.command.split()[0] for benchmark in bench.BENCHMARKS]
    assert scripts and all((ROOT / "benchmarks" / script).is_file() for script in scripts)


@pytest.mark.parametrize(
    ("line", "name", "told"),
    [
        ("| zipf | 4,000 | 4,000 | 0.76 | 0.7 |  | 40 | 1316 | 1736 |", "near-duplicates, 4,000", ("0.76", "missed")),
        ("| zipf | 4,000 | 4,000 | 0.76 | 0.7 |  | 40 | 1316 | 1736 |", "near-duplicates against", ("1736", "met")),
        (f"{SUM} 29.28 | 2.9277 | 334 |", "row stages, 10,000 rows: ms", ("2.9277", "missed")),
        (f"{SUM} 29.28 | 2.9277 | 334 |", "row stages, 10,000 rows: MiB", ("334", "met")),
        ("page of 10,000 rows: 4.74 MiB, opens in 1.83 s", "report of 10,000 rows", ("1.83", "met")),
        ("this workflow: 2,163 jobs, 16.8 processor seconds (7.7 ms a job)", "dry run of", ("16.8", "missed")),
        ("ratio: 1.68", "dry run against", ("1.68", "-")),
        ("all          12.3 s, 200 MiB", "health of", ("12.3", "-")),
        ("written in 86 s, 0.76 GiB above the 0.53 GiB before: 0.77 files", "merge", ("0.77", "met")),
        ("highest peak: 1,188 MiB", "rehearsal", ("1188", "met")),
        ("nothing of it", "rehearsal", ("not measured", "-")),
    ],
)  # fmt: skip
def test_a_goal_is_read_from_what_a_benchmark_prints(bench, line, name, told):
    goals = [goal for benchmark in bench.BENCHMARKS for goal in benchmark.goals if goal.name.startswith(name)]
    assert len(goals) == 1
    _, result, _, verdict = goals[0].row(f"| before |\n{line}\n")
    assert (result, verdict) == told
