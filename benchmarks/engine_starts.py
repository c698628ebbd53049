"""Count the engine starts of a run, and what they take, with and without `engine.keep`; one run each, in alternation.

python benchmarks/engine_starts.py config/test/demo-small.yaml --set rounds=1 [--cores 2] [--repeats 1]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
LOADED = re.compile(r"engine (\w+) loaded in ([\d.]+) s")
FOUND = re.compile(r"engine (\w+) found loaded")
USED = re.compile(r"engine (\w+) was used for ([\d.]+) s")
TRAINING = ("train_adapter", "merge_model")


def run(config: dict[str, Any], cores: int) -> dict[str, Any]:
    """Run the workflow in a new folder; return what its logs and records tell."""
    with tempfile.TemporaryDirectory(prefix="starts-") as name:
        folder = Path(name)
        for shared in ("config", "models"):
            (folder / shared).symlink_to(ROOT / shared)
        (folder / "run.yaml").write_text(yaml.safe_dump(config))
        command = [*(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--profile")]
        command += [str(ROOT / "profiles/default"), "--cores", str(cores), "--configfile", "run.yaml"]
        begin = time.monotonic()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        wall = time.monotonic() - begin
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return {"wall": wall, **measured(folder)}


def measured(folder: Path) -> dict[str, Any]:
    """Return starts, seconds of starting, answering and training, and a digest of all artifacts."""
    logs = [file for file in folder.glob("logs/**/*.log") if not file.name.endswith(".engine.log")]
    text = "\n".join(file.read_text() for file in logs)
    records = [
        (file.stem, json.loads(file.read_text())["observed"]) for file in folder.glob("results/*/**/records/*.json")
    ]
    trained = sum(observed["seconds"] for name, observed in records if name in TRAINING)
    spans = [(datetime.fromisoformat(each["started"]).timestamp(), each["seconds"]) for _, each in records]
    files = [file for file in sorted(folder.glob("results/*/[di]*_*/**/*")) if file.is_file()]
    open_files = [file for file in files if file.parent.name != "records" and "/." not in str(file.relative_to(folder))]
    whole = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in open_files)).hexdigest()
    return {
        "span": max(start + seconds for start, seconds in spans) - min(start for start, _ in spans),
        "starts": [engine for engine, _ in LOADED.findall(text)],
        "shared": len(FOUND.findall(text)),
        "starting": sum(float(seconds) for _, seconds in LOADED.findall(text)),
        "answering": sum(float(seconds) for _, seconds in USED.findall(text)),
        "training": trained,
        "bytes": whole[:16],
    }


def main() -> None:
    """Run, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every run, dotted")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    asked = parser.parse_args()
    config = yaml.safe_load((ROOT / asked.config).read_text())
    print("| engine.keep | wall (s) | first to last job (s) | starts | shared | starting (s) | answering (s) |", end="")
    print(" training, merging (s) | no engine at work, training apart | artifacts |\n|" + "---|" * 10, flush=True)
    for keep in ["auto", 0] * asked.repeats:
        for settings in config["runs"].values():
            for change in [*asked.set, f"engine.keep={keep}"]:
                change_in(settings, *change.split("=", 1))
        told = run(config, asked.cores)
        idle = 1 - told["answering"] / (told["span"] - told["training"])
        starts = f"{len(told['starts'])} ({', '.join(sorted(told['starts']))})"
        numbers = [f"{told[name]:.0f}" for name in ("starting", "answering", "training")]
        shown = [keep, f"{told['wall']:.0f}", f"{told['span']:.0f}", starts, told["shared"], *numbers]
        print("| " + " | ".join(map(str, [*shown, f"{idle:.0%}", told["bytes"]])) + " |", flush=True)


def change_in(settings: dict[str, Any], key: str, value: str) -> None:
    """Set a dotted key to a YAML value."""
    *path, last = key.split(".")
    for part in path:
        settings = settings.setdefault(part, {})
    settings[last] = yaml.safe_load(value)


if __name__ == "__main__":
    main()
