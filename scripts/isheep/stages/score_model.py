"""Stage score_model: every benchmark's metrics with floors, intervals and differences; programs run in the sandbox."""

from __future__ import annotations

from typing import Any

from isheep.data.files import read_json
from isheep.data.rows import Row, read_rows
from isheep.evaluation.judge_work import rival_answers
from isheep.evaluation.scores import Earlier, Measured, score
from isheep.runner.job import Job
from isheep.runner.stage import Made
from isheep.stages.base import Read, Reads, Round, Stage


def _reads(at: Round) -> Reads:
    # The base is not compared with itself, and it has no earlier model.

    def of(stage: str, i: int, file: str | None = None) -> Read | list[Read]:
        return Read(stage, i, file) if at.table[stage].present(at.run) and i >= 0 else []

    compared = {"base": 0, "previous": at.i - 1} if at.i else {"base": -1, "previous": -1}
    earlier: dict[str, Read | list[Read]] = {}
    for name, i in compared.items():
        earlier |= {f"{name}_scores": of("score_model", i), f"{name}_items": of("score_model", i, "measures.jsonl")}
        earlier[f"{name}_harness"] = of("run_harness", i)
    return {
        "answers": of("evaluate_model", at.i),
        "base_answers": rival_answers(at),
        "judgements": of("judge_answers", at.i),
        "judging": of("judge_answers", at.i, "judging.json"),
        "calibration": of("calibrate_judge", 0),
        "harness": of("run_harness", at.i),
        **earlier,
    }


STAGE = Stage(
    "score_model",
    about="turns answers into metrics with floors, intervals and differences",
    place=110,
    folder="iter_{i}/evaluation",
    makes=("scores.json", "measures.jsonl"),
    of="model",
    settings=("evaluation.benchmarks", "evaluation.judge", "evaluation.harness"),
    reads=_reads,
    files=lambda run: run.evaluation.files,
    machine="score",
    present=lambda run: run.evaluation.is_asked or run.evaluation.harness is not None,
    does="evaluate",
)


def make(this: Job) -> Made:
    """Return the scores, and what each item measured."""
    given = this.input
    earlier = {
        other: Earlier(_rows(given[f"{other}_items"]), _document(given[f"{other}_harness"]))
        for other in ("base", "previous")
        if given[f"{other}_scores"]
    }
    measured = Measured(
        this.round,
        _rows(given.answers),
        _rows(given.base_answers),
        _rows(given.judgements),
        _document(given.judging) or {},
        _document(given.calibration) or {},
        _document(given.harness),
        earlier,
        _document(given.base_scores),
    )
    scores, items = score(this.run.evaluation, measured, this.threads)
    return {"measures": items, "scores": scores}


def _rows(file: str) -> list[Row]:
    return list(read_rows(file)) if file else []


def _document(file: str) -> Any:
    return read_json(file) if file else None
