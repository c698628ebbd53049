"""Stages calibrate_judge and judge_answers: the judge is tried first, then asked about every model's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isheep.config.evaluation import Evaluation
from isheep.data.rows import Row
from isheep.documents.models import Floors
from isheep.errors import UserError
from isheep.evaluation import stage
from isheep.evaluation.base import FLOORS, Floor
from isheep.evaluation.calibration import objections
from isheep.evaluation.intervals import table
from isheep.evaluation.scores import plain
from isheep.evaluation.stage import Loaded, Place, Send


def calibrate(evaluation: Evaluation, base: Mapping[Place, Any], send: Send, failures: list[str]) -> dict[str, Any]:
    """Return whether the judge can be trusted, for each form in which it is used, and the floors it gives.

    Parameters
    ----------
    evaluation
        The section of the settings.
    base
        The base model's answers, for benchmarks whose rival it is.
    send
        Asks the judge.
    failures
        What `send` could not do, a line each.
    """
    settings = evaluation.judge
    if settings is None:
        raise UserError("evaluation.judge: there is none; leave this stage out")
    benchmarks, _ = stage.load(evaluation, judged_only=True)
    benchmarks = stage.with_rivals(benchmarks, base)
    used = sorted({loaded.benchmark.form for loaded in benchmarks.values() if loaded.benchmark.form})
    bound = [settings.calibration.bound(form, settings.method) for form in used]
    trials: dict[str, Loaded[Any]] = {trial.name: Loaded(trial, trial.load()) for trial in bound}
    constants: dict[str, Loaded[Any]] = {
        f"{name}.{floor}": Loaded(Floor(loaded.benchmark, floor), loaded.items)
        for name, loaded in benchmarks.items()
        for floor in FLOORS
    }
    rows = stage.ask({**trials, **constants}, "judge", send)
    measured = {name: _measured(name, loaded, rows) for name, loaded in {**trials, **constants}.items()}
    forms = {}
    for name, loaded in trials.items():
        metrics = loaded.benchmark.summarise(measured[name])
        against = objections(metrics) if len(measured[name]) == len(loaded.items) else [_unasked(failures)]
        forms[name.removeprefix("calibration_")] = {"metrics": table(metrics), "objections": against}
    floors: dict[str, Floors] = {}
    for name, loaded in constants.items():
        benchmark, floor = name.rsplit(".", 1)
        if measured[name]:
            floors.setdefault(benchmark, {})[floor] = plain(loaded.benchmark.summarise(measured[name]))
    return {"error": failures[0] if failures else None, "forms": forms, "floors": floors, "tokens": stage.tokens(rows)}


def _measured(name: str, loaded: Loaded, rows: list[Row]) -> list[Row]:
    answers = stage.answers_in(row for row in rows if row["benchmark"] == name)
    measures = []
    for item in loaded.items:
        known = answers.get((name, item.id), {})
        if not loaded.benchmark.requests(item, known):
            measures.append({"id": item.id, **loaded.benchmark.score(item, known)})
    return measures


def _unasked(failures: list[str]) -> str:
    return f"it could not be asked ({failures[0] if failures else 'no reply'})"


def judge(
    evaluation: Evaluation, answers: list[Row], base: Mapping[Place, Any], send: Send, failures: list[str]
) -> tuple[list[Row], dict[str, Any]]:
    """Return the judge's replies about a model's answers as rows, and how much was asked.

    Parameters
    ----------
    answers
        Rows of the model's answers.
    base
        The base model's answers as rivals; empty for the base itself.
    """
    benchmarks, _ = stage.load(evaluation, judged_only=True)
    benchmarks = stage.with_rivals(benchmarks, base)
    rows = stage.ask(benchmarks, "judge", send, stage.answers_in(answers))
    return rows, {"error": failures[0] if failures else None, "replies": len(rows), "tokens": stage.tokens(rows)}
