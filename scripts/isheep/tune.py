"""Find the engine settings that answer a run's own prompts fastest here, and write them into a preset.

python -m isheep.tune RUN --configfile FILE --name NAME

Settings are tried one key after the other, each value with the best of the keys before, until the time is over; every
try has a process of its own, as a job has. A repeatable engine is tuned in what decides no byte alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import replace
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml

from isheep.config import load
from isheep.config.engine import Engine
from isheep.config.model import Model
from isheep.config.run import Run
from isheep.config.source import read_source
from isheep.data.files import publish
from isheep.data.rows import Row, read_rows
from isheep.data.seeds import read_seeds
from isheep.errors import Problems, UserError, command
from isheep.runner.portable import ROOT

Values = dict[str, tuple[Any, ...]]
Try = tuple[dict[str, Any], float]
"""Settings of section `engine`, and the tokens a second that they gave."""
MARK = "# Written by isheep.tune"
ON_CPU: Values = {"max_num_seqs": (16, 32, 128)}
ON_GPU: Values = {"max_num_seqs": (256, 1024), "max_batched_tokens": (4096, 16384, 32768)}


def candidates(engine: Engine, gpus: int) -> Values:
    """Return the values to try of each key, besides those that the run has.

    Speculation and another split over GPUs change what is drawn, or its last digits: a repeatable engine keeps its own.
    """
    values = dict(ON_GPU if gpus else ON_CPU)
    if gpus and not engine.repeatable:
        halves = tuple(n for n in (1, 2, 4, 8) if n < gpus)
        values |= {"tensor_parallel": halves} if halves else {}
        values |= {"speculative_tokens": (4,)}
    return {key: tuple(each for each in tried if each != getattr(engine, key)) for key, tried in values.items()}


def sweep(
    engine: Engine, values: Values, rate: Callable[[Engine], float], is_over: Callable[[], bool]
) -> Iterator[Try]:
    """Yield each try; what is best of a key is kept for the keys after it.

    Parameters
    ----------
    engine
        The run's settings, tried first.
    values
        By key, what to try.
    rate
        Gives tokens a second; raises UserError where an engine cannot work so.
    is_over
        Whether there is no time for another try.
    """
    best, changes = rate(engine), dict[str, Any]()
    yield {}, best
    for key, tried in values.items():
        found: Any = None
        for value in tried:
            if is_over():
                return
            try:
                speed = rate(Engine.model_validate(engine.model_dump() | changes | {key: value}))
            except UserError as error:
                print(f"{key} {value}: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            yield {**changes, key: value}, speed
            if speed > best:
                best, found = speed, value
        if found is not None:
            changes[key] = found


def prompts_of(name: str, run: Run) -> list[Row]:
    """Return the run's own prompts: those of its last round that has some, else its seed tasks."""
    made = sorted(Path("results", name).glob("d_*/prompts.jsonl"), key=lambda file: int(file.parent.name[2:]))
    if rows := list(read_rows(made[-1])) if made else []:
        return rows
    return [
        {"id": seed.id, "instruction": seed.instruction, "input": seed.input} for seed in read_seeds(run.seeds.path)
    ]


def requests_of(run: Run, rows: list[Row], folder: Path, number: int, max_tokens: int | None) -> list[Any]:
    """Return so many requests for answers, as stage generate_outputs asks them; prompts come again with other draws."""
    from isheep.outputs.answers import requests
    from isheep.serving import engines

    template = engines.load_template(run.engine, run.model, folder)
    plain = run.plain_for(0)
    named = ({**row, "id": f"{row['id']}/t{n}"} for n, row in enumerate(islice(cycle(rows), number)))
    asked = requests(named, run.outputs, template, plain, run.seed, 0)
    limit = max_tokens or run.outputs.sampling.max_tokens
    return [replace(each, sampling=replace(each.sampling, max_tokens=limit)) for each in asked]


def measure(engine: Engine, model: Model, folder: Path, threads: int, gpus: int, asked: list[Any]) -> float:
    """Return the tokens a second at which an engine answers requests, its start left out; called in a new process."""
    from isheep.serving import engines

    with closing(engines.load(engine, model, folder, "", threads, gpus)) as opened:
        list(opened.complete(asked[: max(1, len(asked) // 16)]))  # first calls are slow
        start = time.perf_counter()
        tokens = sum(done.completion_tokens for done in opened.complete(asked))
        return tokens / (time.perf_counter() - start)


def in_new_process(*arguments: Any) -> float:
    """Call `measure` in a process that ends with it."""
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(measure, *arguments).result()
    except BrokenProcessPool:
        raise UserError("the engine's process died (out of memory?)") from None


def write_preset(file: Path, below: dict[str, Any], changes: dict[str, Any], told: list[str]) -> None:
    """Write a preset: another one with other values in section `engine`, and what was measured as its comment.

    Raises
    ------
    UserError
        There is such a file that was not written here.
    """
    if file.exists() and not file.read_text(encoding="utf-8").startswith(MARK):
        raise UserError(f"{file}: is there and was not written by isheep.tune; give another --name")
    whole = {**below, "engine": {**below.get("engine", {}), **changes}}
    text = "".join(f"# {line}\n" for line in told) + yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)
    with publish(file) as temporary:
        temporary.write_text(f"{MARK}; docs/engines.md.\n{text}", encoding="utf-8")


def tune(name: str, raw: dict[str, Any], preset: str, seconds: float, number: int, max_tokens: int | None) -> Path:
    """Sweep and write config/models/PRESET.yaml; return the file.

    Parameters
    ----------
    name, raw
        The run, and the config file that has it, as parsed.
    preset
        Name of the preset to write.
    seconds
        Time after which no other value is tried.
    number, max_tokens
        Requests of a try, and the most tokens of an answer (None: the run's).

    Raises
    ------
    UserError
        There is no such run or model here, or the engine is not vLLM.
    """
    from isheep.workflow.graph import base_folder

    run = load(raw, ROOT).runs.get(name)
    if run is None:
        raise UserError(f"{name}: no such run; there is {', '.join(raw.get('runs', {})) or 'none'}")
    folder = base_folder(run.model)
    if run.engine.name != "vllm" or folder is None:
        raise UserError(f"{name}: engine.name is {run.engine.name}; only vllm has what is tuned here")
    if not Path(folder, "config.json").exists():
        raise UserError(f"{folder}: no model there; start the run once, which fetches it")
    need = run.resources.at("generate", 1)
    asked = requests_of(run, prompts_of(name, run), Path(folder), number, max_tokens)
    started = time.monotonic()
    tries: list[Try] = []
    for changes, speed in sweep(
        run.engine,
        candidates(run.engine, need.gpus),
        lambda engine: in_new_process(engine, run.model, Path(folder), need.cpus, need.gpus, asked),
        lambda: time.monotonic() - started > seconds,
    ):
        tries.append((changes, speed))
        print(f"{_told(changes)}: {speed:.1f} tokens/s", flush=True)
    best, speed = max(tries, key=lambda each: each[1])
    below = raw["runs"][name].get("preset")
    source = read_source(ROOT / "config" / "models" / f"{below}.yaml", Problems(str(below))).data if below else {}
    head = f"{len(asked)} requests of run {name}, {need.gpus} GPUs, {need.cpus} threads; the run had preset {below}."
    file = ROOT / "config" / "models" / f"{preset}.yaml"
    write_preset(file, source, best, [head, *(f"{_told(each)}: {rate:.1f} tokens/s" for each, rate in tries)])
    print(f"best: {_told(best)}, {speed / tries[0][1]:.2f} times the run's; written to {os.path.relpath(file)}")
    return file


def _told(changes: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in changes.items()) or "as the run has it"


@command
def main(arguments: list[str] | None = None) -> int:
    """Tune the engine of a run; return 1, with a line that says what is wrong, when it cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m isheep.tune", description="Find a run's fastest engine settings here; write them as a preset."
    )
    parser.add_argument("run", help="name of a run of the config file")
    parser.add_argument("--configfile", default="config/config.yaml", help="the config file")
    parser.add_argument("--name", help="name of the preset to write (default: RUN-tuned)")
    parser.add_argument("--seconds", type=float, default=120, help="time after which nothing else is tried")
    parser.add_argument("--requests", type=int, default=512, help="requests of each try")
    parser.add_argument("--max-tokens", type=int, help="most tokens of an answer (default: outputs.sampling)")
    given = parser.parse_args(arguments)
    raw = read_source(Path(given.configfile), Problems(given.configfile)).data
    tune(given.run, raw, given.name or f"{given.run}-tuned", given.seconds, given.requests, given.max_tokens)
    return 0


if __name__ == "__main__":
    sys.exit(main())
