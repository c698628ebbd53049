"""Several runs side by side, and what the paper reports beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isheep.data.metrics import ordered
from isheep.data.numbers import shown, span
from isheep.data.values import differences
from isheep.documents.models import BenchmarkScores, Difference
from isheep.documents.tables import rows_of, scores_table
from isheep.report import charts, costs
from isheep.report.gather import Report
from isheep.report.groups import ASIDE, against_settings, by_seed
from isheep.report.page import HERE, fill, without_places
from isheep.report.paired import against_first
from isheep.report.sections import BETTER, CURVES, Drawing, Part, floor_lines, note, point
from isheep.report.verdicts import colour, title, unit_of

if TYPE_CHECKING:
    import pandas as pd


def render(reports: Sequence[Report], paper: Part, name: str = "config", assets: Path = HERE) -> str:
    """Return the page that puts runs side by side as HTML.

    Parameters
    ----------
    reports
        The runs; their rows are not needed.
    paper
        The paper's tables: source, url, warning, tables with name, columns and rows.
    name
        Of the config or the study.
    assets
        Folder of templates, style sheet and script.
    """
    changed, scores = changed_settings(reports), last_scores(reports)
    return fill(
        "comparison.html.jinja",
        assets,
        name=name,
        reports=reports,
        names=short_names([report.run for report in reports]),
        settings=changed,
        seeds=by_seed(reports, scores),
        against=against_settings(reports, changed, scores),
        paired=against_first(reports),
        benchmarks=[
            {"name": name, "charts": [drawn for metric in metrics if (drawn := curve(reports, name, metric))]}
            for name, metrics in drawn_metrics(reports).items()
        ],
        rows=table(reports),
        did=did(reports),
        costs={report.run: costs.total(report.stages) for report in reports},
        paper=paper,
    )


def short_names(runs: Sequence[str]) -> dict[str, str]:
    """Return runs by their names, and each without the words that all begin with: `study-a`, `study-b` are a and b."""
    words = [run.split("-") for run in runs]
    common = next((n for n, heads in enumerate(zip(*words, strict=False)) if len(set(heads)) > 1), 0)
    return {run: "-".join(word[common:]) for run, word in zip(runs, words, strict=True)}


def changed_settings(reports: Sequence[Report]) -> list[tuple[str, list[str]]]:
    """Return every setting in which the runs are not all alike, with its value in each."""
    compared = [without_places({k: v for k, v in report.settings.items() if k not in ASIDE}) for report in reports]
    places = dict.fromkeys(place for other in compared[1:] for place, _, _ in differences(compared[0], other))
    return [(place, [_value(settings, place) for settings in compared]) for place in places]


def _value(settings: Any, place: str) -> str:
    for key in place.replace("[", ".[").split("."):
        try:
            settings = settings[int(key[1:-1])] if key.startswith("[") else settings[key]
        except (KeyError, IndexError, TypeError):
            return "\N{EN DASH}"
    if isinstance(settings, list | dict):
        return json.dumps(settings, ensure_ascii=False).replace('"', "")
    return "\N{EN DASH}" if settings is None else str(settings)


def _entries(report: Report, benchmark: str) -> dict[int, BenchmarkScores]:
    """Return what a benchmark tells of every model of a run that it measured, by i of iter_i."""
    scores = [model.scores for model in report.models if model.scores]
    by_round = {scored["round"]: scored["benchmarks"].get(benchmark) for scored in scores}
    return {i: entry for i, entry in by_round.items() if entry and not entry["error"]}


def drawn_metrics(reports: Sequence[Report]) -> dict[str, list[str]]:
    """Return the metrics to draw of each benchmark, those first that it calls its headline."""
    scores = [model.scores for report in reports for model in report.models if model.scores]
    drawn: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for scored in scores for name in scored["benchmarks"]):
        entries = [entry for report in reports for entry in _entries(report, name).values()]
        if entries:
            metrics = dict.fromkeys(metric for entry in reversed(entries) for metric in ordered(entry))
            drawn[name] = list(metrics)[:CURVES]
    return drawn


def curve(reports: Sequence[Report], benchmark: str, metric: str) -> Drawing | None:
    """Return a metric over rounds with one line a run; None when no run has it."""
    points: list[charts.Row] = []
    last: BenchmarkScores | None = None
    names = short_names([report.run for report in reports])
    for report in reports:
        for i, entry in _entries(report, benchmark).items():
            row = entry["metrics"].get(metric)
            if row and row["value"] is not None:
                last = entry
                points.append(point(i, names[report.run], f"{report.run}, iter_{i}", row))
    if last is None:
        return None
    unit, better = last["metrics"][metric]["unit"], last["metrics"][metric]["better"]
    near, far = floor_lines(metric, unit, last, points)
    counts = "" if last["counts"] else "does not count: its judge failed"
    return {
        "title": title(benchmark, metric),
        "note": note(unit, BETTER.get(better, ""), counts, far),
        "svg": charts.curves(points, unit_of(unit), near, base="base"),
    }


def last_scores(reports: Sequence[Report]) -> pd.DataFrame:
    """Return the scores of the last model of each run that a benchmark measured: run, and `scores_table`'s columns."""
    import pandas as pd

    frames = [
        scores_table([model.scores for model in report.models if model.scores]).assign(run=report.run)
        for report in reports
    ]
    scores = pd.concat(frames) if frames else scores_table([]).assign(run="")
    scores = scores[scores["error"].isna()]
    newest = scores.groupby(["run", "benchmark"])["round"].transform("max")
    return scores[scores["round"] == newest]


def table(reports: Sequence[Report]) -> list[Part]:
    """Return the last model's value of every metric in every run."""
    cells: dict[tuple[str, str], dict[str, Part]] = {}
    for row in rows_of(last_scores(reports)):
        cells.setdefault((row["benchmark"], row["metric"]), {})[row["run"]] = _cell(row)
    benchmarks = list(dict.fromkeys(benchmark for benchmark, _ in cells))
    return [
        {
            "benchmark": benchmark,
            "metric": title(benchmark, metric),
            "cells": [cells[benchmark, metric].get(report.run) for report in reports],
        }
        for benchmark, metric in sorted(cells, key=lambda pair: benchmarks.index(pair[0]))
    ]


def _cell(row: charts.Row) -> Part:
    difference: Difference | None = None
    if row["minus_base"] is not None:
        names = {"value": "minus_base", "low": "minus_base_low", "high": "minus_base_high", "n": "minus_base_n"}
        difference = {name: row[column] for name, column in names.items()}  # type: ignore[assignment]
    return {
        "model": row["model"],
        "value": shown(row["value"], row["unit"]),
        "interval": span(row, row["unit"]),
        "n": row["n"],
        "tone": colour(difference, row["better"], row["counts"]),
        "counts": row["counts"],
    }


def did(reports: Sequence[Report]) -> list[Drawing]:
    """Return drawings of what the loop did in each run: rows kept, held-out loss."""
    names = short_names([report.run for report in reports])
    kept = [
        {
            **{"x": data.i, "series": names[report.run], "value": rows, "low": None, "high": None},
            "label": f"{report.run}, d_{data.i}: {rows:,} rows selected",
        }
        for report in reports
        for data in report.rounds
        if data.funnels
        for rows in [list(data.funnels.values())[-1]["rows_out"]]
    ]
    loss = [
        {
            **{"x": model.i, "series": names[report.run], "value": heldout["after"], "low": None, "high": None},
            "label": f"{report.run}, iter_{model.i}: {heldout['after']:.3f} nats a token",
        }
        for report in reports
        for model in report.models
        if model.training and "preferences" not in model.training and (heldout := model.training["heldout"])
    ]
    drawn: list[Drawing] = []
    if kept:
        svg = charts.curves(kept, "rows", prefix="d_", zero=True)
        drawn.append({"title": "Rows trained on", "note": "rows that the last stage kept", "svg": svg})
    if loss:
        text = "nats a token, on rows of each run's own round: not the same rows in two runs"
        drawn.append({"title": "Held-out loss after training", "note": text, "svg": charts.curves(loss, "nats")})
    return drawn
