"""What changes bytes: the same work arranged differently, each time in a process of its own; a Markdown table."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from isheep.config.model import Model
from isheep.config.train import Train
from isheep.data.files import digest_file, write_json
from isheep.data.rows import read_rows, write_rows
from isheep.proof.numbers import distance
from isheep.training.launch import launch

ROOT = Path(__file__).resolve().parents[1]
TEXTS = re.compile(r"threads=\d+ (.+): (\d+)/(\d+) equal texts")
SCORES = re.compile(r"scores: largest difference (\S+) nats in (\d+) sums")
HALVES = "two processes, half of the requests each"
# What is changed against the reference (float32 or bfloat16, one thread): settings and options of engine_determinism.
CHANGES: dict[str, dict[str, list[str]]] = {
    "vllm": {
        "another process": [],
        "2 threads": ["--threads", "2"],
        "`max_num_seqs: 5`": ["max_num_seqs=5"],
        "`prefix_caching: false`": ["prefix_caching=false"],
    },
    "transformers": {
        "another process": [],
        "2 threads": ["--threads", "2"],
        "`batch_size: 8`": ["batch_size=8"],
    },
}
TRAINING = {
    "another process": ({}, 1),
    "2 threads": ({}, 2),
    "`micro_batch_size: 4`": ({"micro_batch_size": 4}, 1),
    "`zero_stage: 2`": ({"zero_stage": 2}, 1),
    "`zero_stage: 2`, 2 processes": ({"zero_stage": 2, "processes": 2}, 2),
}
ONE_GPU = [change for change, (settings, _) in TRAINING.items() if "processes" not in settings]
STEPS = {"epochs": 2, "batch_size": 4, "max_length": 128, "heldout_share": 0, "learning_rate": 2e-4}


def python(*arguments: str, threads: int = 1) -> str:
    """Return what a Python process prints; fail with what it said when it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TQDM_DISABLE": "1", "VLLM_LOGGING_LEVEL": "ERROR",
                                "HF_HUB_OFFLINE": "1"}  # fmt: skip
    done = subprocess.run([sys.executable, *arguments], env=environment, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed\n{done.stdout}{done.stderr}")
    return done.stdout


def engine_rows(model: Path, name: str, dtype: str, options: argparse.Namespace, work: Path) -> Iterator[list[str]]:
    """Yield a row of the table for every way to arrange the same requests."""
    reference = work / f"{name}-{dtype}.json"
    size = ["--requests", str(options.requests), "--max-tokens", str(options.max_tokens), "--reference", str(reference)]
    size += ["--gpus", str(options.gpus)]

    def run(*changed: str) -> tuple[list[tuple[str, int, int]], float]:
        threads = ["--threads", "1"] if "--threads" not in changed else []
        # settings first: an option that takes several words would take them, too
        command = [str(ROOT / "benchmarks/engine_determinism.py"), str(model), f"name={name}", f"dtype={dtype}"]
        said = python(*command, *options.settings, *changed, *threads, *size)
        counts = [(match[1], int(match[2]), int(match[3])) for match in TEXTS.finditer(said)]
        return counts, float(SCORES.search(said)[1])

    start = [" ".join([name, *options.settings]), dtype]
    for arrangement, equal, of in run()[0][1:]:
        yield [*start, f"same process, {arrangement}", f"{equal}/{of}", "-"]
    for change, arguments in CHANGES[name].items():
        counts, apart = run(*arguments, "--only", "at once")
        yield [*start, change, f"{counts[0][1]}/{counts[0][2]}", f"{apart:.1e}"]
    halves = [run("--part", f"{part}/2", "--only", "at once") for part in range(2)]
    equal, of = (sum(counts[0][column] for counts, _ in halves) for column in (1, 2))
    yield [*start, HALVES, f"{equal}/{of}", f"{max(apart for _, apart in halves):.1e}"]


def training_rows(model: Path, dtype: str, gpus: int, work: Path) -> Iterator[list[str]]:
    """Yield a row of the table for every way to train on the same rows; equal means the same adapter."""
    rows = work / "rows.jsonl"
    write_rows(rows, islice(read_rows(ROOT / "config/evaluation/heldout.jsonl"), 8))

    def run(name: str, settings: dict[str, object], threads: int) -> Path:
        out = work / f"{dtype}-{name}"
        spec = {"settings": {**STEPS, "dtype": dtype, **settings}, "model": str(model), "rows": str(rows),
                "out": str(out), "threads": threads, "gpus": gpus}  # fmt: skip
        write_json(work / "spec.json", spec)
        python(__file__, "--train", str(work / "spec.json"), threads=threads)
        return out / "adapter_model.safetensors"

    first = run("reference", {}, 1)
    for change in ONE_GPU if gpus else TRAINING:
        again = run(change, *TRAINING[change])
        apart = distance(first, again)
        told = f"{apart.largest:.1e}" if math.isfinite(apart.largest) else apart.where.partition(": ")[2]
        yield ["training", dtype, change, "yes" if digest_file(first) == digest_file(again) else "no", told]


def train(spec_file: Path) -> None:
    """Train once as `spec_file` says."""
    spec = json.loads(spec_file.read_text(encoding="utf-8"))
    if not spec["gpus"]:
        os.environ["DS_ACCELERATOR"] = "cpu"
    out = Path(spec["out"])
    settings = Train.model_validate(spec["settings"])
    paths = Path(spec["model"]), Path(spec["rows"]), out, out.with_suffix(".work")
    launch(settings, Model(), *paths, 0, spec["threads"], spec["gpus"])


def main() -> None:
    """Print the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", help="folder of the model")
    parser.add_argument("--parts", nargs="*", default=["vllm", "transformers", "training"])
    parser.add_argument("--dtypes", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--gpus", type=int, choices=[0, 1], default=0)
    parser.add_argument("--settings", nargs="*", default=[], help="key=value of the section `engine`, for every line")
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train)
        return
    print("| what | dtype | changed | equal | numbers differ by at most |\n|---|---|---|---|---|", flush=True)
    with TemporaryDirectory() as folder:
        for dtype in options.dtypes:
            for part in options.parts:
                work = Path(folder)
                found = (
                    training_rows(options.model, dtype, options.gpus, work)
                    if part == "training"
                    else engine_rows(options.model, part, dtype, options, work)
                )
                for row in found:
                    print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
