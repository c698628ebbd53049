"""How long near-duplicate search takes: `PYTHONPATH=scripts python benchmarks/dedup.py [most texts]`.

Two kinds of texts: `zipf`, 8 to 30 words drawn with probabilities like those of natural text, of which nearly none are
near-duplicates; and `chain`, sentences that a chain of word triples over the project's seeds and prompts makes: short,
full of phrases that return, many of them near-duplicates. As in stage generate_prompts, each text is searched for and
put into the pool when it is new. Seconds are those of the processor, in a process of its own for each line.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate
from math import log
from multiprocessing import get_context
from pathlib import Path

from isheep.data.dedup import NearDuplicates
from isheep.serving.memory import peak_memory_mib

GOALS = {4_000: 0.7, 10_000: 2, 20_000: None, 100_000: 60, 1_000_000: 1800}
SOURCES = ("config/seeds/isheep.jsonl", "config/evaluation/heldout.jsonl", "config/evaluation/constraints.jsonl")
EVERY = 100


def zipf(count: int) -> Iterator[str]:
    """Yield texts of words that are drawn independently of each other."""
    draw = random.Random(0)
    words = [f"w{number}" for number in range(30_000)]
    weights = list(accumulate(1 / (number + 10) for number in range(30_000)))
    for _ in range(count):
        yield " ".join(draw.choices(words, cum_weights=weights, k=draw.randint(8, 30)))


def chain(count: int) -> Iterator[str]:
    """Yield texts in which each word follows the two before it somewhere in the project's prompts."""
    draw = random.Random(0)
    following = defaultdict(list)
    for source in SOURCES:
        for line in Path(source).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            words = ["", "", *(row.get("instruction") or row["prompt"]).split(), ""]
            for first, second, third in zip(words, words[1:], words[2:], strict=False):
                following[first, second].append(third)
    for _ in range(count):
        words = ["", ""]
        while len(words) < 62 and (word := draw.choice(following[words[-2], words[-1]])):
            words.append(word)
        yield " ".join(words[2:])


KINDS = {"zipf": zipf, "chain": chain}


def search(kind: str, count: int) -> tuple[int, float, int]:
    """Return how many texts were new, the processor's seconds, and the peak memory in MB."""
    pool, new, seconds = NearDuplicates(0.7), 0, 0.0
    for number, text in enumerate(KINDS[kind](count)):
        start = time.process_time()
        new += pool.admit(str(number), text) is None
        seconds += time.process_time() - start
    return new, seconds, int(peak_memory_mib())


def loop(kind: str, count: int) -> tuple[int, float, int]:
    """Return the same for a loop over rouge_score, estimated from every 100th text against all new ones before it."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer, pool, kept, seconds = RougeScorer(["rougeL"]), NearDuplicates(0.7, "rouge"), [], 0.0
    for number, text in enumerate(KINDS[kind](count)):
        if number % EVERY == EVERY // 2:
            start = time.process_time()
            any(scorer.score(old, text)["rougeL"].fmeasure > 0.7 for old in kept)
            seconds += time.process_time() - start
        if pool.admit(str(number), text) is None:
            kept.append(text)
    return len(kept), seconds * EVERY, int(peak_memory_mib())


def main(most: int) -> None:
    """Print the table of all sizes up to `most`."""
    print("| texts | number | new | s | goal (s) | growth | peak MB | rouge_score loop (s, estimated) | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    with get_context("spawn").Pool(1, maxtasksperchild=1) as alone:
        for kind in KINDS:
            before = None
            for count in (size for size in GOALS if size <= most):
                new, seconds, peak = alone.apply(search, (kind, count))
                growth = f"n^{log(seconds / before[1]) / log(count / before[0]):.2f}" if before else ""
                slow = alone.apply(loop, (kind, count))[1] if before is None else None
                compared = f"{slow:.0f} | {slow / seconds:.0f}" if slow else " | "
                goal = GOALS[count] or ""
                print(
                    f"| {kind} | {count:,} | {new:,} | {seconds:.2f} | {goal} | {growth} | {peak} | {compared} |",
                    flush=True,
                )
                before = count, seconds


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
