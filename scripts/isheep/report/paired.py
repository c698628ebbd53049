"""Two runs on the same items: how far their last models are apart, item by item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from isheep.config.evaluation import Evaluation
from isheep.data.metrics import headline
from isheep.data.numbers import shown, span
from isheep.data.rows import Row, read_rows
from isheep.documents.models import BenchmarkScores
from isheep.evaluation.base import Metric
from isheep.evaluation.intervals import paired
from isheep.report.gather import Model, Report
from isheep.report.verdicts import change, title

Part = dict[str, Any]
Find = Callable[[str], Path]
Metrics = dict[tuple[str, str], tuple[BenchmarkScores, Any, Metric]]
WORDS = {"none": "no clear difference", "few": "too few items"}


def against_first(reports: Sequence[Report], find: Find = Path) -> list[Part]:
    """Return for every headline metric how the last model of each run differs from that of the first run.

    Paired: what makes an item easy or hard for both cancels. Only where both ask the same benchmark with the same
    settings; judged numbers that do not count are left out.

    Returns
    -------
    list
        benchmark, metric, and a cell for each run after the first: text, interval, n, word; None where they cannot be
        compared.
    """
    if len(reports) < 2:
        return []
    first, *others = [last_metrics(report, find) for report in reports]
    rows = []
    for (benchmark, name), (entry, settings, metric) in first.items():
        cells = []
        for other in others:
            theirs = other.get((benchmark, name))
            cells.append(_cell(theirs[2], metric) if theirs and theirs[1] == settings else None)
        if any(cells):
            better = entry["metrics"][name]["better"]
            rows.append({"benchmark": benchmark, "metric": title(benchmark, name), "better": better, "cells": cells})
    return rows


def last_metrics(report: Report, find: Find = Path) -> Metrics:
    """Return the headline metrics of a run's last model that was measured; empty where none was."""
    measured = [model for model in report.models if model.i and model.scores]
    found = metrics_of(report, measured[-1], find) if measured else {}
    return {key: told for key, told in found.items() if key[1] in headline(told[0])}


def metrics_of(report: Report, model: Model, find: Find = Path) -> Metrics:
    """Return the metrics of a run's model with what every item brings to them.

    Returns
    -------
    dict
        By benchmark and metric: the benchmark's entry in scores.json, its settings, the metric.
    """
    settings = report.settings["evaluation"]
    rows = _measures(report, model, find)
    benchmarks = Evaluation.model_validate(settings).on
    found: Metrics = {}
    for name, entry in (model.scores or {"benchmarks": {}})["benchmarks"].items():
        items = [row for row in rows if row["benchmark"] == name]
        if not items or name not in benchmarks or not entry["counts"] or entry["error"]:
            continue
        metrics: Mapping[str, Metric] = benchmarks[name].summarise(
            [{"id": row["item"], **row["measures"]} for row in items]
        )
        told = settings["benchmarks"][name]
        found |= {(name, key): (entry, told, metrics[key]) for key in entry["metrics"] if key in metrics}
    return found


def _measures(report: Report, model: Model, find: Find) -> list[Row]:
    ends = f"iter_{model.i}/evaluation/measures.jsonl"
    files = (find(path) for stage in report.stages for path in stage.outputs if path.endswith(f"/{ends}"))
    file = next((file for file in files if file.is_file()), None)
    return list(read_rows(file)) if file else []


def _cell(mine: Metric, theirs: Metric) -> Part | None:
    difference = paired(mine, theirs)
    if difference is None:
        return None
    told = asdict(difference)
    kind = change(told, mine.better)  # type: ignore[arg-type] # the same fields
    return {
        "text": shown(difference.value, mine.unit, True),
        "interval": span(told, mine.unit, True),
        "n": difference.n,
        "word": WORDS.get(kind, kind),
    }
