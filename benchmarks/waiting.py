"""How threads should wait for each other: engine and training on two threads under several bounds of spinning.

python benchmarks/waiting.py models/SmolLM2-135M-Instruct.Q4_1 --busy 2

Each bound has a process of its own, asked in turn. `unset` is what the OpenMP runtime does by itself (libgomp: some
3 ms of spinning), `passive` never spins, `chosen` is what a job takes now; a number is GOMP_SPINCOUNT.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from alternate import Worker, busy, in_turn, median, serve

from isheep.runner.job import WAITING

LENGTHS = (41, 64, 29, 52)  # tokens of the rows of a training step


def engine(folder: Path, threads: int, requests: int, max_tokens: int) -> Callable[[], dict[str, Any]]:
    """Load the engine; return what completes some requests."""
    from engine_determinism import make_requests

    from isheep.config.engine import Engine as Settings
    from isheep.config.model import Model
    from isheep.serving import engines

    opened = engines.load(Settings(max_num_seqs=requests), Model(), folder, "", threads, 0)
    asked = make_requests(opened, requests, max_tokens)
    return lambda: {"tokens": sum(done.completion_tokens for done in opened.complete(asked))}


def training(folder: Path, threads: int) -> Callable[[], dict[str, Any]]:
    """Load model and adapter; return what makes one forward and backward pass."""
    from isheep.config.model import Model
    from isheep.config.train import Lora
    from isheep.serving.repeatable import make_repeatable
    from isheep.training.lora import load_model
    from isheep.training.trainer import lora_config

    make_repeatable(threads)
    import torch
    from peft import get_peft_model

    network = get_peft_model(load_model(folder, Model(), "float32"), lora_config(Lora()))
    rows = [torch.arange(100, 100 + length)[None] for length in LENGTHS]

    def step() -> dict[str, Any]:
        for ids in rows:
            network(input_ids=ids, labels=ids).loss.backward()
        network.zero_grad()
        return {"tokens": sum(LENGTHS)}

    return step


def variables(bound: str, threads: int) -> dict[str, str | None]:
    """Return the environment of a bound."""
    chosen = WAITING["GOMP_SPINCOUNT"]
    told = {"unset": (None, None), "passive": ("passive", None), "chosen": (None, chosen)}.get(bound, (None, bound))
    return {"OMP_WAIT_POLICY": told[0], "GOMP_SPINCOUNT": told[1], "OMP_NUM_THREADS": str(threads)}


def main() -> None:
    """Print a line for each bound: tokens a second, and their ratio to the best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("--what", choices=("engine", "training"), default="engine")
    parser.add_argument("--bounds", nargs="+", default=["unset", "100000", "10000", "1000", "passive"])
    parser.add_argument("--one", action="store_true", help="one thread, too, under the last bound")
    parser.add_argument("--busy", type=int, default=0, help="processes that spin beside it")
    for name, default in (("threads", 2), ("requests", 8), ("max-tokens", 24), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        more = () if asked.what == "training" else (asked.requests, asked.max_tokens)
        serve(lambda: globals()[asked.what](asked.model, asked.worker, *more))
        return
    command = [sys.executable, __file__, str(asked.model), "--what", asked.what, f"--requests={asked.requests}"]
    command.append(f"--max-tokens={asked.max_tokens}")
    setups = [(bound, asked.threads) for bound in asked.bounds] + [(asked.bounds[-1], 1)] * asked.one
    workers: dict[str, Worker] = {}
    for bound, threads in setups:
        name = f"{threads} threads, {bound}"
        workers[name] = Worker([*command, "--worker", str(threads)], variables(bound, threads))
        workers[name].wait()  # one after the other: starts would only disturb each other
    with busy(asked.busy):
        told = in_turn(workers, asked.repeats)
    speeds = {name: median(each, "tokens") for name, each in told.items()}
    loads = [said["load"] for each in told.values() for said in each]
    print(f"{asked.what}, load {min(loads):.1f} to {max(loads):.1f}, {asked.busy} spinning processes among it")
    for name, speed in speeds.items():
        each = " ".join(f"{said['tokens'] / said['seconds']:.1f}" for said in told[name])
        print(f"{name}: {speed:.1f} tokens/s ({each}), {speed / max(speeds.values()):.2f} of the best")
    for worker in workers.values():
        worker.end()


if __name__ == "__main__":
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    main()
