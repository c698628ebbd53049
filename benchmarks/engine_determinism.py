"""How much of an engine's work stays equal when it is only arranged differently; see docs/engines.md."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.serving import engines
from isheep.serving.engines.base import Engine, Request, Sampling, ScoreRequest

TOPICS = "bread|rivers|clocks|bees|trains|salt|maps|kites|glass|wool|chess|rain|bridges|letters|whales|markets".split(
    "|"
)
PREFACE = (
    "Answer in the tone of a patient teacher. Keep to the facts, give one example, and never repeat the question. "
)
SCALE = tuple(f" {score}" for score in range(1, 11))


def make_requests(engine: Engine, number: int, max_tokens: int) -> list[Request]:
    """Return requests at temperature 1, top-p 0.95, each with its own seed, that share a long beginning."""
    sampling = Sampling(1.0, 0.95, max_tokens)
    texts = [f"{PREFACE * 10}Tell me fact {n} about {TOPICS[n % len(TOPICS)]}." for n in range(number)]
    prompts = [engine.template.render([{"role": "user", "content": text}]) for text in texts]
    return [Request(str(n), prompt, sampling, 1000 + n) for n, prompt in enumerate(prompts)]


def arrangements(requests: list[Request]) -> Iterator[tuple[str, list[list[Request]]]]:
    """Yield ways to hand over the same requests: name, and the calls to make one after another."""
    yield "at once", [requests]
    yield "at once again", [requests]
    yield "chunks of 8", [requests[start : start + 8] for start in range(0, len(requests), 8)]
    yield "shuffled", [random.Random(0).sample(requests, len(requests))]
    yield "one by one", [[request] for request in requests]


def log_likelihoods(engine: Engine, requests: list[Request], texts: dict[str, str]) -> dict[str, list[float]]:
    """Return the log-likelihoods of each request's text, and of the scores 1 to 10, after its prompt."""
    asked = [
        ScoreRequest(f"{request.id}/{name}", request.prompt, continuations)
        for request in requests
        for name, continuations in (("text", (texts[request.id],)), ("scale", SCALE))
    ]
    return {result.id: list(result.log_likelihoods) for result in engine.score(asked)}


def main() -> None:
    """Print a line for each arrangement (equal texts, tokens per second), and one for the log-likelihoods."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("settings", nargs="*", help="key=value of the section `engine`")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument(
        "--part", default="0/1", help="K/N: of N processes that share the requests, do those of the K-th"
    )
    parser.add_argument("--only", nargs="*", help="names of arrangements; none at all with an empty list")
    parser.add_argument(
        "--reference", type=Path, help="JSON of texts and scores: compared with, or written when missing"
    )
    options = parser.parse_intermixed_args()
    settings = Settings.model_validate(dict(setting.split("=", 1) for setting in options.settings))
    setup = " ".join([*options.settings, f"threads={options.threads}"])
    texts: dict[str, str] = {}
    scores: dict[str, list[float]] = {}
    if options.reference and options.reference.exists():
        texts, scores = json.loads(options.reference.read_text(encoding="utf-8"))
    with engines.load(settings, Model(), options.model, "", options.threads, options.gpus) as engine:
        part, of = map(int, options.part.split("/"))
        requests = make_requests(engine, options.requests, options.max_tokens)[part::of]
        for name, calls in arrangements(requests):
            if options.only is not None and name not in options.only:
                continue
            start = time.perf_counter()
            results = [result for call in calls for result in engine.complete(call)]
            speed = sum(result.completion_tokens for result in results) / (time.perf_counter() - start)
            found = {result.id: result.text for result in results}
            texts = texts or found
            equal = sum(texts[key] == text for key, text in found.items())
            print(f"{setup} {name}: {equal}/{len(found)} equal texts, {speed:.0f} tok/s", flush=True)
        sums = log_likelihoods(engine, requests, texts)
        scores = scores or sums
        largest = max(abs(a - b) for key in sums for a, b in zip(sums[key], scores[key], strict=True))
        print(f"{setup} scores: largest difference {largest:.1e} nats in {sum(map(len, sums.values()))} sums")
    if options.reference and not options.reference.exists():
        options.reference.write_text(json.dumps([texts, scores]), encoding="utf-8")


if __name__ == "__main__":
    main()
