"""Our engine stages beside a bare, well-tuned `LLM.generate`, on the same requests.

python benchmarks/engine.py models/SmolLM2-135M-Instruct.Q4_1 --requests 128 --max-tokens 16

Ours is what a stage does: requests rendered, sent by the dispatcher, every result in the journal as it comes, and read
into rows. Bare is one call of LLM.generate with all prompts as token ids, as vLLM is best used here: `--bare` gives its
settings (by default those of a GPU's fast preset, or a CPU's best). Both are loaded once and asked in turn.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from alternate import Worker, in_turn, median, serve

from isheep.config import load
from isheep.config.run import Run
from isheep.data.seeds import read_seeds

ROOT = Path(__file__).resolve().parents[1]
# No seeds: a bare engine draws as it likes. On a CPU nothing is gained by compiling (some 2 minutes) for small models.
BARE_CPU: dict[str, Any] = {"dtype": "float32", "enforce_eager": True, "max_num_seqs": 128}
BARE_GPU: dict[str, Any] = {"dtype": "bfloat16", "max_num_seqs": 1024, "max_num_batched_tokens": 16384}


def run_of(folder: Path, gpus: int, settings: list[str]) -> Run:
    """Return the settings of ours: the demo's preset on this machine, with changes to section `engine`."""
    changes = dict(setting.split("=", 1) for setting in settings)
    described = {
        "preset": "smollm2-135m-instruct",
        "model": {"gguf": None, "path": str(folder)},
        "engine": changes,
        "resources": {"generate": {"gpus": gpus}},
    }
    return load({"runs": {"a": described}}, ROOT).runs["a"]


def requests_of(run: Run, folder: Path, number: int, max_tokens: int) -> list[Any]:
    """Return requests for answers to the seed tasks, each with its own seed."""
    from isheep.tune import requests_of as asked

    rows = [
        {"id": seed.id, "instruction": seed.instruction, "input": seed.input} for seed in read_seeds(run.seeds.path)
    ]
    return asked(run, rows, folder, number, max_tokens)


def ours(run: Run, folder: Path, asked: list[Any], threads: int, gpus: int) -> Callable[[], dict[str, Any]]:
    """Open our engine; return what answers the requests through dispatcher and journal, and reads the answers."""
    from isheep.outputs.answers import answer
    from isheep.runner.dispatch import Dispatcher
    from isheep.runner.journal import Journal
    from isheep.serving import engines

    engine = engines.load(run.engine, run.model, folder, "", threads, gpus)
    rows = [{"id": request.id, "instruction": "", "input": ""} for request in asked]

    def work() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as place, Journal(Path(place), "0" * 64, "stage") as journal:
            dispatcher = Dispatcher(journal, lambda: engine)
            results = dispatcher.send(asked)
            answered, _, _ = answer(rows, run.outputs, results.__getitem__, 0).parted()
            return {"tokens": dispatcher.tokens()["completion"], "rows": len(answered)}

    return work


def bare(
    run: Run, folder: Path, asked: list[Any], threads: int, gpus: int, settings: dict[str, Any]
) -> Callable[[], dict[str, Any]]:
    """Open a bare engine; return what answers the same prompts in one call."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if not gpus:  # in its own process vLLM binds threads to cores, which others on this machine use
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    from transformers import AutoTokenizer
    from vllm import LLM, SamplingParams

    memory = {} if gpus else {"kv_cache_memory_bytes": 2**30}
    llm = LLM(str(folder), max_model_len=run.engine.context_length, disable_log_stats=True, **memory, **settings)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompts = [
        {"prompt_token_ids": tokenizer(each.prompt.text, add_special_tokens=False)["input_ids"]} for each in asked
    ]
    sampling = [
        SamplingParams(
            temperature=each.sampling.temperature, top_p=each.sampling.top_p, max_tokens=each.sampling.max_tokens
        )
        for each in asked
    ]

    def work() -> dict[str, Any]:
        outputs = llm.generate(prompts, sampling, use_tqdm=False)
        return {"tokens": sum(len(each.outputs[0].token_ids) for each in outputs)}

    return work


def typed(settings: list[str]) -> dict[str, Any]:
    """Return key=value settings of vLLM with YAML's types."""
    import yaml

    return {key: yaml.safe_load(value) for key, value in (setting.split("=", 1) for setting in settings)}


def compare(folder: Path, asked: argparse.Namespace, ways: tuple[str, ...] = ("ours", "bare")) -> dict[str, float]:
    """Have each way answer in turn; print what each gave; return tokens a second by way."""
    command = [sys.executable, str(Path(__file__)), str(folder)]
    for name in ("threads", "gpus", "requests", "max_tokens"):
        command.append(f"--{name.replace('_', '-')}={getattr(asked, name)}")
    for name in ("ours", "bare"):
        if settings := getattr(asked, name):
            command += [f"--{name}", *settings]
    environment = {"OMP_NUM_THREADS": str(asked.threads), "VLLM_LOGGING_LEVEL": "ERROR", "TQDM_DISABLE": "1"}
    workers = {way: Worker([*command, f"--worker={way}"], environment) for way in ways}
    told = in_turn(workers, asked.repeats)
    for worker in workers.values():
        worker.end()
    speeds = {way: median(turns, "tokens") for way, turns in told.items()}
    loads = [turn["load"] for turns in told.values() for turn in turns]
    print(f"{asked.requests} requests of up to {asked.max_tokens} tokens, load {min(loads):.1f} to {max(loads):.1f}")
    for way, turns in told.items():
        each = " ".join(f"{turn['tokens'] / turn['seconds']:.1f}" for turn in turns)
        spent, tokens = median(turns, "tokens", by="processor"), turns[0]["tokens"]
        print(f"{way}: {speeds[way]:.1f} tokens/s ({each}), {spent:.1f} a processor second, {tokens} tokens a turn")
    if len(ways) == 2:
        one, other = (median(told[way], "tokens", by="processor") for way in ways)
        print(f"ours / bare: {speeds['ours'] / speeds['bare']:.2f}, by processor seconds {one / other:.2f}")
    return speeds


def add_options(parser: argparse.ArgumentParser, requests: int, max_tokens: int, threads: int, gpus: int) -> None:
    """Add what `compare` reads."""
    for name, default in (("requests", requests), ("max-tokens", max_tokens), ("threads", threads), ("gpus", gpus)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ours", nargs="+", default=[], help="key=value of section `engine`")
    parser.add_argument("--bare", nargs="+", default=[], help="key=value of vLLM, over its best here")


def main() -> None:
    """Print tokens a second of both, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the model")
    add_options(parser, requests=512, max_tokens=64, threads=1, gpus=0)
    parser.add_argument("--worker", choices=("ours", "bare"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not asked.worker:
        compare(asked.model, asked)
        return
    run = run_of(asked.model, asked.gpus, asked.ours)
    requests = requests_of(run, asked.model, asked.requests, asked.max_tokens)
    common = (run, asked.model, requests, asked.threads, asked.gpus)
    settings = (BARE_GPU if asked.gpus else BARE_CPU) | typed(asked.bare)
    serve(lambda: ours(*common) if asked.worker == "ours" else bare(*common, settings))


if __name__ == "__main__":
    main()
