"""What top-p costs vLLM on a CPU over a large vocabulary: its own, which sorts it, against `engines.nucleus`.

PYTHONPATH=scripts python benchmarks/top_p.py models/SmolLM2-135M-Instruct.Q4_1

The model's vocabulary is padded (262,144 tokens, as Gemma's) with rows that are never drawn, so that its texts stay.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.serving import engines
from isheep.serving.engines import vllm
from isheep.serving.engines.base import Engine, Prompt, Request, Sampling

EMBEDDING = "model.embed_tokens.weight"
WATCHED = ("execute_model", "sample_tokens", "apply_top_k_top_p", "keep_nucleus", "fused_gumbel_argmax")


def padded(folder: Path, vocabulary: int, out: Path) -> Path:
    """Write a copy of a model with tied embeddings whose vocabulary has more rows, each a tenth of one it has."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, out, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    if not config["tie_word_embeddings"]:
        raise SystemExit(f"{folder}: its embeddings are not tied")
    tensors = load_file(folder / "model.safetensors")
    rows = tensors[EMBEDDING]
    more = rows.repeat(vocabulary // len(rows) + 1, 1)[: vocabulary - len(rows)] / 10
    tensors[EMBEDDING] = torch.cat([rows, more])
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps({**config, "vocab_size": vocabulary}), encoding="utf-8")
    return out


def asked(number: int, max_tokens: int, top_p: float) -> list[Request]:
    """Return requests at temperature 0.7, each with its own seed and text."""
    sampling = Sampling(0.7, top_p, max_tokens)
    return [
        Request(str(n), Prompt(f"Here are {n + 2} facts about the number {n}:\n", True), sampling, 100 + n)
        for n in range(number)
    ]


def timed(engine: Engine, requests: list[Request]) -> tuple[dict[str, str], int, float, dict[str, float]]:
    """Return texts, tokens, seconds, and the seconds inside what is watched."""
    profile = cProfile.Profile()
    profile.enable()
    done = list(engine.complete(requests))
    profile.disable()
    stats = pstats.Stats(profile)
    inside: dict[str, float] = {}
    for (_, _, name), (*_, cumulated, _callers) in stats.stats.items():  # type: ignore[attr-defined]
        for watched in WATCHED:
            if watched in name:
                inside[watched] = max(inside.get(watched, 0.0), cumulated)
    tokens = sum(each.completion_tokens for each in done)
    return {each.id: each.text for each in done}, tokens, stats.total_tt, inside  # type: ignore[attr-defined]


def main() -> None:
    """Print a line for each way: tokens a second, and where the time went; then how many texts are equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder of a model with tied embeddings in one file")
    parser.add_argument("--vocabulary", type=int, default=262_144)
    parser.add_argument("--requests", type=int, default=24)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--top-p", type=float, default=0.95)
    options = parser.parse_args()
    settings = Settings(name="vllm", context_length=512)
    own = vllm.drawn
    ways = {"no top-p": own, "vLLM's": lambda sampling, _: own(sampling, False), "nucleus": own}
    requests = asked(options.requests, options.max_tokens, options.top_p)
    with tempfile.TemporaryDirectory() as temporary:
        folder = padded(options.model, options.vocabulary, Path(temporary) / "model")
        with engines.load(settings, Model(), folder, "", threads=1, gpus=0) as engine:
            list(engine.complete(requests[:2]))  # warm
            texts = {}
            for name, way in ways.items():
                vllm.drawn = way
                sent = asked(options.requests, options.max_tokens, 1.0) if name == "no top-p" else requests
                texts[name], tokens, seconds, inside = timed(engine, sent)
                parts = ", ".join(f"{part} {spent:.1f} s" for part, spent in inside.items())
                print(
                    f"{name}: {seconds:.1f} s, {tokens} tokens, {tokens / seconds:.1f} a second ({parts})", flush=True
                )
            alone = {done.id: done.text for request in requests[::4] for done in engine.complete([request])}
    same = sum(texts["vLLM's"][key] == text for key, text in texts["nucleus"].items())
    print(f"nucleus and vLLM's: {same} of {len(requests)} texts equal")
    print(f"nucleus, one by one: {sum(texts['nucleus'][key] == alone[key] for key in alone)} of {len(alone)} equal")


if __name__ == "__main__":
    main()
