"""How long data health takes on rounds of 10,000 made-up rows: `PYTHONPATH=scripts python benchmarks/health_speed.py`.

The third of three rounds is measured; words are drawn with probabilities like those of natural text, so that few rows
are near-duplicates and hardly any search ends early.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from isheep.assess.base import Scale
from isheep.data.rows import Row, read_rows, write_rows
from isheep.health.diversity import diversity, vendi
from isheep.health.duplicates import duplicates
from isheep.health.lengths import lengths
from isheep.health.overlap import overlap
from isheep.health.sample import draw
from isheep.health.scores import scores
from isheep.health.stage import seeds
from isheep.serving.memory import peak_memory_mib

WORDS = [f"w{number}" for number in range(30_000)]
WEIGHTS = [1 / (number + 10) for number in range(30_000)]
EVALUATION = {name: f"config/evaluation/{name}.jsonl" for name in ("heldout", "constraints")}


def make(round_number: int, count: int, rng: random.Random) -> Iterator[Row]:
    """Yield rows with instructions of 8 to 30 words and outputs of 10 to 260."""
    for number in range(count):
        texts = (" ".join(rng.choices(WORDS, WEIGHTS, k=rng.randint(*size))) for size in ((8, 30), (10, 260)))
        row = dict(zip(("instruction", "output"), texts, strict=True))
        tokens = {"finish_reason": "stop", "prompt_tokens": 40, "output_tokens": 120}
        yield {"id": f"d{round_number}-{number:06d}", **row, "input": "", **tokens, "quality": rng.uniform(1, 10)}


def timed(name: str, call: Callable[[], object]) -> object:
    """Call, and print how long it took."""
    start = time.perf_counter()
    value = call()
    print(f"{name:10} {time.perf_counter() - start:6.1f} s", flush=True)
    return value


def main(count: int) -> None:
    """Measure a round of `count` rows after two others of as many."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        *earlier, now = (Path(folder) / f"d_{i}.jsonl" for i in range(3))
        for i, path in enumerate((*earlier, now)):
            write_rows(path, make(i, count, rng))
        start = time.perf_counter()
        sample = timed("sample", lambda: draw(read_rows(now), 500))
        timed("lengths", lambda: lengths(read_rows(now)))
        timed("diversity", lambda: diversity(sample, 100))
        ids = {row["id"] for row in sample}
        rows = (lambda: read_rows(now), lambda: chain.from_iterable(map(read_rows, earlier)))
        timed("duplicates", lambda: duplicates(*rows, lambda: seeds("config/seeds/isheep.jsonl"), ids, 0.7))
        timed("scores", lambda: scores(read_rows(now), {"quality": Scale(1, 10)}))
        timed("overlap", lambda: overlap(read_rows(now), EVALUATION, (13, 8)))
        timed("vendi", lambda: vendi(np.random.default_rng(0).normal(size=(500, 576))))
        memory = peak_memory_mib()
        print(f"all        {time.perf_counter() - start:6.1f} s, {memory:.0f} MiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
