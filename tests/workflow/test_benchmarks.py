"""Benchmarks that need no weights, in sizes that say nothing: they run to their end and print what is read there."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys

import pytest
from workplace import REPOSITORY

pytestmark = pytest.mark.slow
SMALL = {
    "row_stages.py": "60",
    "many_rows.py": "1000",
    "dedup.py": "4000",
    "health_speed.py": "60",
    "dry_run.py": "--runs 1 --rounds 1 --shards 1 --repeats 1",
    "merge_memory.py": "1 {}/merge",
    "rehearsal.py": "--prompts 200 --shards 2",
}


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_ends_and_its_figures_are_found(tmp_path, name):
    words = [word.replace("{}", str(tmp_path)) for word in SMALL[name].split()]
    command = [sys.executable, str(REPOSITORY / "benchmarks" / name), *words]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "scripts")}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    table = runpy.run_path(str(REPOSITORY / "benchmarks/__main__.py"))
    (found,) = [each for each in table["BENCHMARKS"] if each.command.startswith(name)]
    # Patterns name the sizes of `make bench`; here any number of rows will do.
    patterns = [re.sub(r"\d+(,\d{3})+", lambda _: r"[\d,]+", goal.pattern) for goal in found.goals]
    missing = [pattern for pattern in patterns if not re.search(pattern, done.stdout, re.MULTILINE)]
    assert found.goals and not [pattern for pattern in missing if "opens in" not in pattern], done.stdout
