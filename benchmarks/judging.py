"""The default assessment beside scores that are drawn as text, as the paper's scripts did: same rows, same engine.

python benchmarks/judging.py models/SmolLM2-135M-Instruct.Q4_1 --rows 6

The recipe i_sheep asks for two criteria by likelihood and for pmi; i_sheep_paper has two texts of up to 1,000 tokens
written. Both are asked of one loaded vLLM, one after the other; all requests of a way are given at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from isheep.assess import stage
from isheep.config import load
from isheep.config.run import Run
from isheep.data.seeds import read_seeds
from isheep.runner.dispatch import draw_seed
from isheep.serving import engines

ROOT = Path(__file__).resolve().parents[1]
WAYS = {"by likelihood": "i_sheep", "drawn as text": "i_sheep_paper"}


def run_of(recipe: str, folder: Path, engine: str) -> Run:
    """Return the settings of a recipe on the demo's model."""
    model = {"gguf": None, "path": str(folder)}
    described = {"preset": "smollm2-135m-instruct", "recipe": recipe, "rounds": 1, "model": model}
    return load({"runs": {"a": described | {"engine": {"name": engine, "context_length": 2048}}}}, ROOT).runs["a"]


def main() -> None:
    """Print what each way took, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--engine", default="vllm", choices=("vllm", "transformers"))
    asked = parser.parse_args()
    runs = {way: run_of(recipe, asked.model.resolve(), asked.engine) for way, recipe in WAYS.items()}
    first = next(iter(runs.values()))
    rows = [vars(seed) for seed in read_seeds(first.seeds.path)][: asked.rows]
    spent: dict[str, float] = {}
    with engines.load(first.engine, first.model, asked.model.resolve(), "", threads=1, gpus=0) as engine:
        for way, run in runs.items():
            panel = stage.build(run.assess, engine.template, None, partial(draw_seed, 0, "judging", 0), ROOT)
            texts, scored = list(stage.completions(rows, panel)), list(stage.scorings(rows, panel))
            [*engine.complete(texts[:1]), *engine.score(scored[:1])]  # warm
            started = time.perf_counter()
            written = sum(each.completion_tokens for each in engine.complete(texts))
            read = sum(1 for _ in engine.score(scored))
            spent[way] = time.perf_counter() - started
            print(
                f"{way}: {spent[way]:.1f} s, {len(rows)} rows, {len(texts)} texts of {written} tokens, "
                f"{read} scorings; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    print(f"drawn as text / by likelihood: {spent['drawn as text'] / spent['by likelihood']:.1f}")


if __name__ == "__main__":
    main()
