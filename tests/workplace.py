"""Runs of the real Snakefile in an empty folder that sees only the repository's config."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
# `make test-gpu` sets it: what runs on the CPU else, runs on one GPU.
GPUS = int(os.environ.get("ISHEEP_GPUS", "0"))
# One thread each: suites run side by side, and threads on busy cores wait for each other more than they compute.
NEEDS = {"merge": {"cpus": 1}} | {stage: {"cpus": 1, "gpus": GPUS} for stage in ("generate", "assess", "train")}

FAKE = {
    "preset": "fake",
    "recipe": "i_sheep",
    "rounds": 2,
    "prompts": {"rows": 30, "shots": 3, "tasks_per_request": 5, "sampling": {"max_tokens": 400}},
    "outputs": {"sampling": {"max_tokens": 120}},
    "assess": {"discrimination": {"pairs": 10}},
    "select": {"kind": "quantile", "column": "pmi", "share": 0.5, "floor": 4},
    # Measured where a test looks at it; elsewhere it would only take time.
    "evaluation": {"benchmarks": {"heldout": None, "constraints": None}},
}

# A short round of SmolLM2-135M-Instruct. Whatever texts a CPU's arithmetic leads to, no rule drops them.
ROUND = {
    "preset": "smollm2-135m-instruct",
    "recipe": "i_sheep",
    "rounds": 1,
    "resources": NEEDS,
    "prompts": {
        "rows": 6,
        "shots": 2,
        "tasks_per_request": 3,
        "sampling": {"temperature": 0.6, "max_tokens": 160},
        "max_requests": 12,
        "on_shortfall": "continue",
        "rules": ["none"],
    },
    "outputs": {"sampling": {"temperature": 0.7, "max_tokens": 32}, "rules": ["none"]},
    "assess": {"discrimination": {"pairs": 2}},
    "select": {"kind": "quantile", "column": "pmi", "share": 0.6, "floor": 2},
    "train": {"epochs": 2, "batch_size": 2, "micro_batch_size": 1, "max_length": 96, "checkpoint_steps": 1},
    "merge": {"probe_prompts": 2, "probe_tokens": 16},
    # A few short answers show that models are measured.
    "evaluation": {
        "benchmarks": {"heldout": {"limit": 3, "max_tokens": 16}, "constraints": {"limit": 2, "max_tokens": 16}}
    },
}


class Workplace:
    """An empty folder in which the workflow is run as a user would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "config").symlink_to(REPOSITORY / "config")

    def configure(self, runs: dict, **more: object) -> None:
        """Write the config file."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump({"runs": runs, **more}))

    def command(self, *arguments: str) -> list[str]:
        """Return the command line."""
        profile = str(REPOSITORY / "profiles" / "default")
        return [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")),
            *("--profile", profile, "--cores", "2", *arguments, "--configfile", "config.yaml"),
        ]

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake; fail the test with its output when it fails unexpectedly."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=environment, text=True, capture_output=True, timeout=1800
        )
        if check and done.returncode:
            pytest.fail(f"snakemake {' '.join(arguments)} failed\n{done.stdout}\n{done.stderr}")
        return done

    def hashes(self, pattern: str = "results/*/[di]*_*/**/*") -> dict[str, str]:
        """Return the sha256 of every artifact, but for work folders and timings."""
        files = (file for file in self.folder.glob(pattern) if file.is_file())
        return {
            str(file.relative_to(self.folder)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(files)
            if not any(part.startswith(".") for part in file.relative_to(self.folder).parts)
            and file.parent.name != "records"
        }
