"""A round's data by the procedure that the paper's release is described to have, and by this workflow.

python benchmarks/original_procedure.py models/SmolLM2-135M-Instruct.Q4_1

The first is made anew from its description alone (isheep.md 1.3, 2.1, 4.2): an engine loaded in each of three stages;
prompts in batches of 32 and answers in batches of 512, each batch waited for before the next is asked; every
instruction held by rouge_score, in a Python loop, against the pool; both scores sampled as text of up to 1,000 tokens,
in batches of 32, the second only of rows that got the first. Model, engine, number format, threads, requests, rules,
counts and draws are ours in both. `--scale` shrinks batches and the scores' tokens, and is told.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import yaml

from isheep.config import load
from isheep.config.run import Run
from isheep.data.rows import Row, read_rows, write_rows
from isheep.serving.engines.base import Completion, Request

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("prompts", "answers", "scores")
PROMPT_BATCH, ANSWER_BATCH, SCORE_BATCH, SCORE_TOKENS = 32, 512, 32, 1000
SIMILARITY = 0.7


def settings(asked: argparse.Namespace, sampled: bool) -> dict[str, Any]:
    """Return the run: the recipe i_sheep on a small model; `sampled` has both scores written as text."""
    drawn = {"temperature": 1.0, "top_p": 0.95}
    rubrics = {name: f"config/prompts/{name}.txt" for name in ("quality", "following")}
    text = {"method": "sampled", "sampling": {**drawn, "max_tokens": round(SCORE_TOKENS * asked.scale)}}
    judges = [{"kind": "judge", "name": n, "rubric": r, **(text if sampled else {})} for n, r in rubrics.items()]
    return {
        "preset": "smollm2-135m-instruct",
        "model": {"gguf": None, "path": str(asked.model.resolve())},
        "recipe": "i_sheep",
        "rounds": 1,
        "resources": {kind: {"cpus": asked.threads} for kind in ("generate", "assess")},
        "prompts": {"rows": asked.rows, "shots": 5, "tasks_per_request": 5, "on_shortfall": "continue"}
        | {"sampling": {**drawn, "max_tokens": asked.max_tokens}},
        "outputs": {"sampling": {**drawn, "max_tokens": asked.max_tokens}},
        "assess": {"assessors": judges, "discrimination": {"pairs": 0}},
    }


class Bare:
    """vLLM as the described scripts use it: one call a batch, which returns when the last of it is done."""

    def __init__(self, run: Run, folder: Path, batch: int) -> None:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        from vllm import LLM

        from isheep.serving.engines import load_template

        self.batch = batch
        self.llm = LLM(
            str(folder),
            dtype=run.engine.dtype,
            max_model_len=run.engine.context_length,
            enforce_eager=True,
            kv_cache_memory_bytes=2**30,
        )
        self.tokenizer = load_template(run.engine, run.model, folder).tokenizer  # type: ignore[attr-defined]

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Return the completions, batch after batch."""
        from vllm import SamplingParams

        done: list[Completion] = []
        for start in range(0, len(requests), self.batch):
            wave = requests[start : start + self.batch]
            prompts = [{"prompt_token_ids": self._ids(request)} for request in wave]
            params = [
                SamplingParams(
                    temperature=each.sampling.temperature,
                    top_p=each.sampling.top_p,
                    max_tokens=each.sampling.max_tokens,
                    stop=list(each.sampling.stop),
                )
                for each in wave
            ]
            for request, output in zip(wave, self.llm.generate(prompts, params, use_tqdm=False), strict=True):
                text, ids = output.outputs[0], output.prompt_token_ids or ()
                finish = text.finish_reason or "length"
                done.append(Completion(request.id, text.text, finish, None, len(ids), len(text.token_ids)))
        return done

    def _ids(self, request: Request) -> list[int]:
        ids = self.tokenizer(request.prompt.text, add_special_tokens=request.prompt.add_special_tokens)
        return list(ids["input_ids"])


def is_new(instruction: str, pool: Iterable[str], scorer: Any) -> bool:
    """Return whether ROUGE-L with everything in the pool is at most 0.7: all pairs, one by one."""
    scores = [scorer.score(other, instruction)["rougeL"].fmeasure for other in pool]
    return max(scores, default=0.0) <= SIMILARITY


def write_prompts(run: Run, asked: argparse.Namespace, place: Path) -> int:
    """Make prompts in batches until there are enough; return the tokens written."""
    from rouge_score.rouge_scorer import RougeScorer

    from isheep.filters.registry import first_broken
    from isheep.prompts.maker import PromptMaker

    maker, scorer = PromptMaker.of(run, 0), RougeScorer(["rougeL"])
    bare = Bare(run, asked.model, max(1, round(PROMPT_BATCH * asked.scale)))
    pool, rows, tokens, number = [seed.instruction for seed in maker.seeds], [], 0, 0
    while len(rows) < asked.rows and number < maker.most_requests:
        wave = [maker.request(n) for n in range(number, number + bare.batch)]
        for n, done in zip(range(number, number + bare.batch), bare.complete(wave), strict=True):
            tokens += done.completion_tokens
            for row, problem in maker.candidates(n, done):
                if not problem and not first_broken(maker.rules, row) and is_new(row["instruction"], pool, scorer):
                    rows.append(row)
                    pool.append(row["instruction"])
        number += bare.batch
    write_rows(place / "prompts.jsonl", rows[: asked.rows])
    return tokens


def write_answers(run: Run, asked: argparse.Namespace, place: Path) -> int:
    """Answer every prompt and drop what the rules drop; return the tokens written."""
    from isheep.filters.registry import resolve
    from isheep.outputs.answers import answer, filter_rows, requests
    from isheep.serving.engines import load_template

    rows = list(read_rows(place / "prompts.jsonl"))
    bare = Bare(run, asked.model, max(1, round(ANSWER_BATCH * asked.scale)))
    template = load_template(run.engine, run.model, asked.model)
    done = {each.id: each for each in bare.complete(list(requests(rows, run.outputs, template, None, 0, 0)))}
    answered, _, _ = answer(rows, run.outputs, done.__getitem__, 0).parted()
    passed, _, _ = filter_rows(answered, resolve("outputs", run.outputs.rules), 0).parted()
    write_rows(place / "filtered.jsonl", passed)
    return sum(each.completion_tokens for each in done.values())


def write_scores(run: Run, asked: argparse.Namespace, place: Path) -> int:
    """Have both scores written as text, the second where the first could be read; return the tokens written."""
    from isheep.assess.stage import build
    from isheep.serving.engines import load_template

    rows: list[Row] = list(read_rows(place / "filtered.jsonl"))
    bare = Bare(run, asked.model, max(1, round(SCORE_BATCH * asked.scale)))
    panel = build(run.assess, load_template(run.engine, run.model, asked.model), None, lambda name: 0, ROOT)
    tokens = 0
    for assessor in panel:
        wanted = [request for row in rows for request in assessor.completions(row, panel.model)]
        done = {each.id: each for each in bare.complete(wanted)}
        tokens += sum(each.completion_tokens for each in done.values())
        scored = [{**row, **assessor.columns_of(row, done.__getitem__)} for row in rows]
        rows = [row for row in scored if row[assessor.name] is not None]
    write_rows(place / "evaluated.jsonl", rows)
    return tokens


WORK = dict(zip(STAGES, (write_prompts, write_answers, write_scores), strict=True))


def original(asked: argparse.Namespace, place: Path) -> dict[str, tuple[float, int, int]]:
    """Run the three stages, each in a process of its own; return seconds, rows and tokens by stage."""
    told = {}
    for stage, file in zip(STAGES, ("prompts", "filtered", "evaluated"), strict=True):
        start = time.perf_counter()
        numbers = [f"--{name}={getattr(asked, name)}" for name in ("rows", "scale", "threads")]
        command = [sys.executable, __file__, str(asked.model), *numbers, f"--max-tokens={asked.max_tokens}"]
        done = subprocess.run([*command, f"--stage={stage}", f"--place={place}"], check=True, capture_output=True)
        rows = sum(1 for _ in read_rows(place / f"{file}.jsonl"))
        told[stage] = (time.perf_counter() - start, rows, int(done.stdout.decode().split()[-1]))
        print(f"  described procedure, {stage}: {told[stage][0]:.1f} s, {rows} rows", file=sys.stderr, flush=True)
    return told


def ours(asked: argparse.Namespace, place: Path) -> tuple[float, dict[str, tuple[float, int, int]]]:
    """Run the workflow up to the scores; return its wall time, and seconds, rows and tokens by stage."""
    (place / "config.yaml").write_text(yaml.safe_dump({"runs": {"a": settings(asked, sampled=False)}}))
    command = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "profiles/default")]
    start = time.perf_counter()
    files = ["--configfile", "config.yaml", "--cores", str(asked.threads)]
    done = subprocess.run(
        [*command, "results/a/d_0/evaluated.jsonl", *files], cwd=place, capture_output=True, text=True
    )
    wall = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr[-4000:])
    told = {}
    for record in sorted((place / "results/a").glob("**/records/*.json")):
        said = json.loads(record.read_text())
        tokens = said["made"].get("tokens", {}).get("completion", 0)
        told[said["made"]["stage"]] = (said["observed"]["seconds"], 0, tokens)
    for stage, file in (
        *(("generate_prompts", "prompts"), ("generate_outputs", "outputs")),
        *(("filter_outputs", "filtered"), ("assess_outputs", "evaluated")),
    ):
        if stage in told:
            rows = sum(1 for _ in read_rows(place / f"results/a/d_0/{file}.jsonl"))
            told[stage] = (told[stage][0], rows, told[stage][2])
    return wall, told


def main() -> None:
    """Print seconds, rows and tokens of both by stage, and the ratio of the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the model")
    for name, default in (("rows", 32), ("max-tokens", 128), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--scale", type=float, default=0.25, help="of batches and of the tokens of a score")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage:
        run = load({"runs": {"a": settings(asked, sampled=True)}}, ROOT).runs["a"]
        tokens = WORK[asked.stage](run, asked, asked.place)
        print(tokens, flush=True)
        os._exit(0)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        theirs = original(asked, Path(one))
        wall, own = ours(asked, Path(two))
    whole = sum(seconds for seconds, _, _ in theirs.values())
    print(
        f"{asked.rows} prompts, up to {asked.max_tokens} tokens a text; batches and scores at {asked.scale:g} of theirs"
    )
    print(f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after")
    for who, told in (("described procedure", theirs), ("this workflow", own)):
        for stage, (seconds, rows, tokens) in told.items():
            print(f"{who}, {stage}: {seconds:.1f} s, {rows} rows, {tokens} tokens")
    print(f"described procedure {whole:.1f} s, this workflow {wall:.1f} s with Snakemake: ratio {whole / wall:.2f}")


if __name__ == "__main__":
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("TQDM_DISABLE", "1")
    main()
