"""Generation and training on one GPU, against a tuned bare engine and against what the hardware can do.

python benchmarks/gpu.py models/SmolLM2-135M-Instruct.Q4_1

One call of under six minutes, untested on a GPU so far. It measures the card's own limits (bytes a second of a copy,
operations a second of a bfloat16 product), our engine beside bare vLLM (benchmarks/engine.py) in the fast preset, the
repeatable one alone, and training (benchmarks/training.py), packed and not. `--cpu` goes through the same parts small,
on the CPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import engine

HERE = Path(__file__).resolve().parent
BYTES = 2  # of a number in bfloat16
TRAINED = 4  # operations a parameter and token of a LoRA step: forward 2, backward through the activations 2


class Limits(NamedTuple):
    """What a device can do: bytes a second from its memory, operations a second."""

    bandwidth: float
    operations: float


class Shape(NamedTuple):
    """What decides the cost of a token: parameters that are read and multiplied, and bytes of its keys and values."""

    parameters: float
    cached: float


def measure_limits(device: str, size: int, repeats: int) -> Limits:
    """Return the best of some copies and products of (size, size) matrices in bfloat16."""
    import torch

    one = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    other = torch.empty_like(one)

    def fastest(work: Callable[[], Any]) -> float:
        best = float("inf")
        for _ in range(repeats):
            start = time.perf_counter()
            work()
            if device == "cuda":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - start)
        return best

    copied = fastest(lambda: other.copy_(one))
    multiplied = fastest(lambda: torch.matmul(one, one, out=other))
    return Limits(2 * one.nbytes / copied, 2 * size**3 / multiplied)


def shape_of(folder: Path) -> Shape:
    """Return the shape of a Llama-like model from its config.json; embeddings that are only looked up do not count."""
    config = json.loads((folder / "config.json").read_text())
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    heads = config["num_attention_heads"]
    keys = config.get("num_key_value_heads", heads) * (config.get("head_dim") or hidden // heads)
    queries = heads * (config.get("head_dim") or hidden // heads)
    layer = 2 * hidden * queries + 2 * hidden * keys + 3 * hidden * inner
    return Shape(layers * layer + config["vocab_size"] * hidden, 2 * layers * keys * BYTES)


def decoding_limit(shape: Shape, limits: Limits, together: int, context: float) -> float:
    """Return the tokens a second that the hardware allows when so many requests are decoded together.

    A step reads the weights once and each request's keys and values; it multiplies each parameter once a token.
    """
    read = shape.parameters * BYTES + together * context * shape.cached
    return together / max(read / limits.bandwidth, 2 * shape.parameters * together / limits.operations)


def training_limit(shape: Shape, limits: Limits) -> float:
    """Return the tokens a second of a LoRA step that the hardware's operations allow."""
    return limits.operations / (TRAINED * shape.parameters)


def train(folder: Path, rows: int, repeats: int) -> str:
    """Return what benchmarks/training.py prints of ours and of plain TRL, packed and not."""
    ways = ["ours, padded", "ours, packed", "TRL, padded"]
    command = [sys.executable, str(HERE / "training.py"), str(folder), f"--rows={rows}", f"--repeats={repeats}"]
    done = subprocess.run([*command, "--ways", *ways], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def main() -> None:
    """Print limits, generation and training, each beside what the hardware allows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the model")
    engine.add_options(parser, requests=4096, max_tokens=128, threads=8, gpus=1)
    parser.add_argument("--rows", type=int, default=512, help="rows that train")
    parser.add_argument("--cpu", action="store_true", help="a small run of every part on the CPU")
    asked = parser.parse_args()
    start = time.perf_counter()
    if asked.cpu:
        asked.gpus, asked.requests, asked.max_tokens, asked.rows, asked.repeats, asked.threads = 0, 16, 8, 16, 1, 1
    limits = measure_limits("cpu" if asked.cpu else "cuda", 512 if asked.cpu else 8192, 3 if asked.cpu else 20)
    shape = shape_of(asked.model)
    print(f"memory: {limits.bandwidth / 1e9:.0f} GB/s, products: {limits.operations / 1e12:.2f} TFLOP/s (bfloat16)")
    speeds = engine.compare(asked.model, asked)
    together = engine.run_of(asked.model, asked.gpus, asked.ours).engine.max_num_seqs
    limit = decoding_limit(shape, limits, min(together, asked.requests), context=asked.max_tokens / 2 + 60)
    shares = ", ".join(f"{way} {speed / limit:.1%}" for way, speed in speeds.items())
    print(f"of {limit:.0f} tokens/s that the hardware allows: {shares}", flush=True)
    if not asked.cpu:
        asked.ours, asked.requests = ["repeatable=true"], max(64, asked.requests // 8)
        print("engine.repeatable: true")
        engine.compare(asked.model, asked, ways=("ours",))
    print(train(asked.model, asked.rows, asked.repeats), end="")
    print(f"training: the hardware allows {training_limit(shape, limits):.0f} tokens/s")
    print(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
