"""Seconds and memory of the stages that move rows, at several numbers of rows.

PYTHONPATH=scripts python benchmarks/row_stages.py 10000 100000

Rows, journals and rejected files of the right form are made up, then each stage does its work on them in a process of
its own: its requests are answered by the journal, so that no engine is timed, and its files are really written. Words
are those of the project's seeds, drawn as in natural text. Near-duplicate search has a benchmark of its own and is left
out of `generate_prompts`. Seconds are those of the processor; memory is the peak of the process, with libraries.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/browser"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from isheep import config
from isheep.data.files import digest_artifact
from isheep.data.rows import read_rows
from isheep.runner import job, stage
from isheep.serving.engines.base import Completion, Request, Score, ScoreRequest
from isheep.serving.memory import peak_memory_mib

ROOT = Path(__file__).resolve().parents[1]
GOAL_MS, GOAL_MIB = 0.3, 2048
TASKS = 10
# What the goal of 0.3 ms a row is about; the other two gather what an engine has said.
COUNTED = ("generate_prompts", "filter_outputs", "select_data", "measure_data", "record", "report", "publish")
STAGES = ("generate_prompts", "generate_outputs", "filter_outputs", "assess_outputs", *COUNTED[2:])
SENTENCES = 20_000


class Texts:
    """Sentences of words that are drawn with probabilities like those of natural text."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        lines = (ROOT / "config/seeds/isheep.jsonl").read_text(encoding="utf-8").splitlines()
        said = " ".join(json.loads(line)["instruction"] + " " + json.loads(line)["output"] for line in lines)
        words = sorted({word for word in said.lower().split() if word.isalpha()})
        random.Random(0).shuffle(words)
        self.words, self.weights = words, list(accumulate(1 / (place + 10) for place in range(len(words))))
        self.sentences = [self.sentence(random.Random(place)) for place in range(SENTENCES)]

    def sentence(self, draw: random.Random) -> str:
        """Return 8 to 16 words and a full stop."""
        return " ".join(draw.choices(self.words, cum_weights=self.weights, k=draw.randint(8, 16))).capitalize() + "."

    def answer(self) -> str:
        """Return some 80 words."""
        return " ".join(self.draw.choices(self.sentences, k=self.draw.randint(4, 9)))


class Engine:
    """Answers what stages ask with texts and scores that mean nothing."""

    def __init__(self) -> None:
        self.texts = Texts(0)

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Write ten tasks, or an answer."""
        for request in requests:
            listed = request.prompt.text.endswith("Instruction:")
            text = "\n\n".join(self._tasks()) if listed else self.texts.answer()
            yield Completion(request.id, text, "stop", None, len(request.prompt.text) // 4, len(text) // 4)

    def _tasks(self) -> Iterator[str]:
        for number in range(TASKS):
            head = f"### Task {number + 6}\nInstruction: " if number else " "
            yield f"{head}{self.texts.sentence(self.texts.draw)}\nInput: <noinput>"

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Score]:
        """Draw log-likelihoods."""
        for request in requests:
            count = len(request.continuations)
            yield Score(request.id, tuple(-9 * self.texts.draw.random() for _ in range(count)), (3,) * count)


def nobody() -> Any:
    """Refuse to be opened: everything is in the journal."""
    raise RuntimeError("a request is not in the journal")


class Job(job.Job):
    """A job of one stage in a folder, without Snakemake."""

    def __init__(self, name: str, rows: int, folder: Path) -> None:
        self.stage, self.round, self.folder = name, 0, folder
        prompts = {"rows": rows, "tasks_per_request": TASKS, "compare_with": []}
        asked = {"preset": "fake", "recipe": "i_sheep", "prompts": prompts}
        asked |= {"select": {"kind": "quantile", "column": "pmi", "share": 0.5}, "health": {"measures": MEASURES}}
        self.settings = config.load({"runs": {"bench": asked}}, ROOT).runs["bench"]
        self.params = SimpleNamespace(model_folder=None)
        self.wildcards = SimpleNamespace(run="bench")
        self.tokens, self.is_heavy, self.is_final = {}, False, True
        declared = import_module(f"isheep.stages.{name}").STAGE
        word = {"filter_outputs": "outputs", "assess_outputs": "filtered", "select_data": "evaluated"}
        self.input = job.Files(rows=str(folder / f"{word.get(name, 'prompts')}.jsonl"))
        self.input |= {key: str(folder / f"{file}.jsonl") for key, file in HEALTH.items()}
        self.input |= {"earlier": [], "probes": [], "embeddings": []}
        kinds = {"jsonl": "rows", "rejected.jsonl": "rejected", "funnel.json": "funnel"}
        named = {kinds.get(made.partition(".")[2], made.partition(".")[0]): made for made in declared.makes}
        self.output = job.Files({key: str(folder / made) for key, made in named.items()})

    @property
    def run(self) -> Any:
        """The settings."""
        return self.settings


MEASURES = ["lengths", "diversity", "duplicates", "scores", "overlap"]
HEALTH = {"made": "outputs", "evaluated": "evaluated", "selected": "selected"}


def asking(name: str, rows: int, folder: Path, open_engine: Callable[[], Any], finish: bool) -> None:
    """Have a stage ask its requests, and publish what it makes of the answers."""
    this = Job(name, rows, folder)
    work = import_module(f"isheep.stages.{name}").Work(this)
    with work.dispatching({"benchmark": name}, open_engine) as dispatcher:
        work.requests(dispatcher.send)
        if finish:
            stage.publish(this, work.finish())


def make(name: str, rows: int, folder: Path) -> None:
    """Do the work of a stage that asks no model."""
    stage.make(Job(name, rows, folder), import_module(f"isheep.stages.{name}"))


def record(name: str, rows: int, folder: Path) -> None:
    """Hash every file of the round, as records do once for who makes it and once for who reads it."""
    for file in sorted(folder.glob("*.json*")):
        digest_artifact(file)
        digest_artifact(file)


def report(name: str, rows: int, folder: Path) -> None:
    """Write the page of a run of one round whose rows these are."""
    from report_results import Made

    from isheep.report.gather import gather
    from isheep.report.page import render

    made = Made(folder, "bench", rounds=1, hostile=False)
    for file in folder.glob("*.jsonl"):
        shown = folder / "results/bench/d_0" / file.name
        shown.unlink(missing_ok=True)
        shown.hardlink_to(file)
    gathered = gather("bench", made.settings, made.records, find=lambda path: folder / path)
    (folder / "report.html").write_text(render(gathered), encoding="utf-8")


def publish(name: str, rows: int, folder: Path) -> None:
    """Write the selected rows as a data set in both forms, and look for what is private."""
    from isheep.proof import dataset, privacy

    run, out = Job("select_data", rows, folder).run, folder / "published"
    run = run.model_copy(update={"train": run.train.model_copy(update={"trainer": "fake"})})
    splits, _ = dataset.split(run, list(read_rows(folder / "selected.jsonl")), folder)
    dataset.write(out, splits, run)
    privacy.check(file for file in sorted(out.rglob("*")) if file.is_file())


def child(name: str, rows: int, folder: Path) -> dict[str, float]:
    """Do one stage's work; return processor seconds, seconds and peak MiB."""
    started, before = time.monotonic(), time.process_time()
    if name in ("generate_prompts", "generate_outputs", "assess_outputs"):
        asking(name, rows, folder, nobody, finish=True)
    else:
        {"record": record, "report": report, "publish": publish}.get(name, make)(name, rows, folder)
    peak = peak_memory_mib()
    return {"cpu": time.process_time() - before, "seconds": time.monotonic() - started, "mib": peak}


def apart(*words: str) -> dict[str, float]:
    """Return what a process of its own measured."""
    done = subprocess.run([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(done.returncode)
    return json.loads(done.stdout.splitlines()[-1])


def opened(page: Path, rows: int) -> None:
    """Print the size of a page, and the seconds in which a browser opens it where there is one."""
    size = f"page of {rows:,} rows: {page.stat().st_size / 2**20:.2f} MiB"
    if shutil.which("chromedriver") is None:
        print(f"{size}; no chromedriver to open it with")
        return
    from driver import Browser

    with Browser() as browser:
        started = time.monotonic()
        browser.open(page)
        print(f"{size}, opens in {time.monotonic() - started:.2f} s")


def measure(rows: int, only: list[str]) -> None:
    """Print a line for each stage, and the sum of those that the goal is about."""
    total, most = 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name in STAGES:
            if name in ("generate_prompts", "generate_outputs", "assess_outputs"):
                apart("--fill", name, str(rows), "--folder", folder)
            took = apart("--stage", name, str(rows), "--folder", folder)
            counts = name in COUNTED
            total, most = total + counts * took["cpu"], max(most, took["mib"])
            per_row = 1000 * took["cpu"] / rows
            print(f"| {rows:,} | {name} | {took['cpu']:.2f} | {per_row:.4f} | {took['mib']:,.0f} |", flush=True)
            if name == "report":
                opened(Path(folder) / "report.html", rows)
            if name in only[-1:]:
                return
    goal = f"goal: under {GOAL_MS} ms, {GOAL_MIB:,} MiB"
    print(f"| {rows:,} | {goal} | {total:.2f} | {1000 * total / rows:.4f} | {most:,.0f} |")


def main() -> None:
    """Measure, or do one stage's work for a parent that does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="+", help="numbers of rows")
    parser.add_argument("--until", action="append", default=[], help="stage after which to end")
    for name in ("--stage", "--fill", "--folder"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage:
        print(json.dumps(child(asked.stage, asked.rows[0], Path(asked.folder))))
    elif asked.fill:
        asking(asked.fill, asked.rows[0], Path(asked.folder), Engine, finish=False)
        print("{}")
    else:
        print("| rows | stage | processor seconds | ms a row | peak MiB |\n|---|---|---|---|---|")
        for rows in asked.rows:
            measure(rows, asked.until)


if __name__ == "__main__":
    main()
