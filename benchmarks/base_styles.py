"""What each output style makes of a base model: the same prompts, how many answers end, and what is kept of them.

PYTHONPATH=scripts python benchmarks/base_styles.py models/SmolLM2-135M-Instruct.Q4_1 --prompts 60
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from isheep.assess import stage as assessing
from isheep.assess.discrimination import discrimination, sample_pairs
from isheep.config import load
from isheep.config.run import Run
from isheep.data.rows import Row
from isheep.evaluation.base import Metric, mean
from isheep.evaluation.intervals.metrics import interval
from isheep.filters.registry import first_broken, resolve
from isheep.outputs import answers
from isheep.outputs.cuts import cut
from isheep.prompts.maker import PromptMaker, gather
from isheep.serving import engines
from isheep.serving.chat import join
from isheep.serving.engines.base import Completion, Engine, Request

ROOT = Path(__file__).resolve().parents[1]
STYLES: dict[str, dict[str, Any]] = {
    "zero-shot": {"kind": "zero_shot"},
    "1 shot, fresh": {"kind": "few_shot", "shots": 1},
    "3 shots, fresh": {"kind": "few_shot", "shots": 3},
    "3 shots, fixed": {"kind": "few_shot", "shots": 3, "demonstrations": "fixed"},
    "5 shots, fresh": {"kind": "few_shot", "shots": 5},
}
PAIRS = 24  # shuffled pairs that test the assessors
BEST_OF = "3 shots, fresh"
CUTS = ("new_task", "repetition", "last_sentence")
SETS: dict[str, tuple[str, ...]] = {"none": (), **{name: (name,) for name in CUTS}, "all": CUTS}


def settings(style: Mapping[str, Any], options: argparse.Namespace) -> Run:
    """Return a run of a base model with an output style."""
    sampling = {"temperature": options.temperature, "max_tokens": options.max_tokens}
    raw = {
        "model": {"path": str(options.model), "chat": False, "chat_template": "config/prompts/chat.jinja"},
        "engine": {"name": options.engine, "context_length": 1024, "max_num_seqs": options.max_num_seqs},
        **({"train": {"trainer": "fake"}} if options.engine == "fake" else {}),
        "prompts": {
            "rows": options.prompts,
            "shots": 3,
            "tasks_per_request": 5,
            "sampling": {"temperature": 0.8, "max_tokens": 320},
        },
        "outputs": {**style, "sampling": sampling},
        **({"assess": {"assessors": [{"kind": "pmi"}]}, "select": {"kind": "none"}} if options.no_judge else {}),
    }
    return load({"runs": {"a": raw}}, ROOT).runs["a"]


def ask(engine: Engine, requests: Sequence[Request]) -> dict[str, Completion]:
    """Return the completions by the requests' ids."""
    return {done.id: done for done in engine.complete(requests)}


def assessed(rows: Sequence[Row], run: Run, engine: Engine) -> tuple[list[Row], dict[str, Any]]:
    """Return rows with the scores of the run's assessors, all in the plain format without demonstrations, and AUCs."""
    panel = assessing.build(run.assess, engine.template, run.outputs.plain, len, Path())
    pairs = sample_pairs(rows, PAIRS, seed=0)
    asked = [*rows, *(shuffled for _, shuffled in pairs)]
    scores = {score.id: score for score in engine.score(assessing.scorings(asked, panel))}
    scored, _, _ = assessing.assess_rows(rows, panel, scores.__getitem__, 0).parted()
    return scored, dict(discrimination(pairs, panel, scores.__getitem__, 0.6))


def sampled(prompts: Sequence[Row], run: Run, engine: Engine, number: int) -> list[Row]:
    """Return the rows with answer `number` (from 0) of each prompt, uncut."""
    plain = run.outputs.format(run.seeds.path, run.seed)
    requests = answers.requests(prompts, run.outputs, engine.template, plain, run.seed + number, 0)
    done = ask(engine, list(requests))
    return answers.answer(prompts, run.outputs.model_copy(update={"cuts": ()}), done.__getitem__, 0).parted()[0]


def cut_row(row: Row, cuts: Sequence[Any]) -> Row:
    """Return a row as `outputs.cuts` would have made it."""
    output, by = cut(row["output"], join(row["instruction"], row["input"]), row["finish_reason"], cuts)
    return {**row, "output": output, "finish_reason": "cut"} if by else row


def measured(rows: Sequence[Row], kept: Sequence[Row]) -> Row:
    """Return what a table shows of a style's uncut answers and of those that are kept."""
    repeats = [{**row, "value": float(cut_row(row, ("repetition",)) is not row)} for row in rows]
    ended = [{**row, "value": float(row["finish_reason"] == "stop")} for row in rows]
    names = {row["id"] for row in kept}
    return {
        "stops": shown(mean(ended, "value")),
        "repeats": shown(mean(repeats, "value")),
        "kept": shown(mean([{**row, "value": float(row["id"] in names)} for row in rows], "value")),
        "tokens, median": f"{median(row['output_tokens'] for row in rows):g}",
        "words kept, median": f"{median([len(row['output'].split()) for row in kept] or [0]):g}",
    }


def views(kept: Sequence[Row], run: Run, engine: Engine) -> Row:
    """Return the mean scores of the rows that are kept, and how well each assessor tells them from shuffled ones."""
    if len(kept) < 4:
        return {}
    scored, told = assessed(kept, run, engine)
    return {
        name: f"{shown(mean(scored, name, 'score'))}, AUC {check['auc']:.2f}"
        for name, check in told.items()
        if check["auc"] is not None
    }


def shown(metric: Metric) -> str:
    """Return a metric with its 95 % interval and n."""
    bounds = interval(metric)
    inner = f" [{bounds.low:.2f}, {bounds.high:.2f}]" if bounds else ""
    return "-" if metric.value is None else f"{metric.value:.2f}{inner} n={metric.n}"


def best(samples: Sequence[Sequence[Row]], keep: Callable[[Row], bool], run: Run, engine: Engine) -> list[Row]:
    """Return, for each prompt with an answer that is kept, the one of highest pmi."""
    chosen: dict[str, Row] = {}
    for rows in samples:
        kept = [row for row in rows if keep(row)]
        for row in assessed(kept, run, engine)[0] if kept else []:
            if row["id"] not in chosen or row["pmi"] > chosen[row["id"]]["pmi"]:
                chosen[row["id"]] = row
    columns = {column for assessor in run.assess.assessors for column in assessor.columns}
    return [{key: value for key, value in row.items() if key not in columns} for row in chosen.values()]


def lines(options: argparse.Namespace) -> Iterator[tuple[str, Row]]:
    """Yield a name and what was measured, for every style, every set of cuts, and for the best of several samples."""
    runs = {name: settings(style, options) for name, style in STYLES.items()}
    run = runs["zero-shot"]
    rules = resolve("outputs", run.outputs.rules)
    folder = None if options.engine == "fake" else options.model
    with engines.load(run.engine, run.model, folder, "model", threads=1, gpus=0) as engine:
        prompts = gather(PromptMaker.of(run, 0), lambda wave: ask(engine, wave), []).rows
        for name, of in runs.items():
            if options.only and name not in options.only:
                continue
            start = time.perf_counter()
            rows = sampled(prompts, of, engine, 0)
            seconds = time.perf_counter() - start
            keep_texts(options.texts, name, rows)
            for cuts in SETS:
                kept = [row for row in (cut_row(row, SETS[cuts]) for row in rows) if first_broken(rules, row) is None]
                seen = views(kept, of, engine) if cuts in ("none", "all") else {}
                yield f"{name}, cuts: {cuts}", {**measured(rows, kept), **seen, "seconds": f"{seconds:.0f}"}
            if name == BEST_OF and options.samples > 1:
                samples = [rows, *(sampled(prompts, of, engine, number) for number in range(1, options.samples))]
                cut_samples = [[cut_row(row, CUTS) for row in each] for each in samples]
                kept = best(cut_samples, lambda row: first_broken(rules, row) is None, of, engine)
                yield f"{name}, best of {options.samples} by pmi", {**measured(rows, kept), **views(kept, of, engine)}


def keep_texts(folder: Path | None, name: str, rows: Sequence[Row]) -> None:
    """Write the rows of a style, to be read."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / f"{name.replace(',', '').replace(' ', '-')}.jsonl").write_text(text, encoding="utf-8")


def main() -> None:
    """Print a table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder of the model, asked as a base model")
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--max-tokens", type=int, default=120)
    parser.add_argument("--samples", type=int, default=4, help="answers of which the best by pmi is taken; 1: none")
    parser.add_argument("--engine", default="vllm", choices=("vllm", "transformers", "fake"))
    parser.add_argument("--no-judge", action="store_true", help="assess by pmi alone")
    parser.add_argument("--max-num-seqs", type=int, default=64)
    parser.add_argument("--only", nargs="*", help="names of styles")
    parser.add_argument("--texts", type=Path, help="folder for the answers themselves")
    for name, found in lines(parser.parse_args()):
        print(f"| {name} | " + " | ".join(f"{key} {value}" for key, value in found.items()) + " |", flush=True)


if __name__ == "__main__":
    main()
