"""Several runs side by side, and what the paper reports beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isheep.data.values import differences
from isheep.report import charts, costs
from isheep.report.gather import Report
from isheep.report.page import HERE, fill, without_places
from isheep.report.sections import BETTER, CURVES, floor_lines, note
from isheep.report.verdicts import colour, ordered, show, span, title, unit_of

# Settings in which runs may differ without differing in what comes out.
ASIDE = ("resources", "report", "publish")
Pair = tuple[str, str]  # benchmark, metric


def render(reports: Sequence[Report], paper: dict[str, Any], assets: Path = HERE) -> str:
    """Return the page that puts runs side by side as HTML.

    Parameters
    ----------
    reports
        The runs; their rows are not needed.
    paper
        The paper's tables: source, url, warning, tables with name, columns and rows.
    assets
        Folder of templates, style sheet and script.
    """
    return fill(
        "comparison.html.jinja",
        assets,
        reports=reports,
        settings=changed_settings(reports),
        benchmarks=[
            {"name": name, "charts": [drawn for metric in metrics if (drawn := curve(reports, name, metric))]}
            for name, metrics in drawn_metrics(reports).items()
        ],
        rows=table(reports),
        did=did(reports),
        costs={report.run: costs.total(report.stages) for report in reports},
        paper=paper,
    )


def changed_settings(reports: Sequence[Report]) -> list[tuple[str, list[str]]]:
    """Return every setting in which the runs are not all alike, with its value in each."""
    told = [without_places({k: v for k, v in report.settings.items() if k not in ASIDE}) for report in reports]
    places = dict.fromkeys(place for other in told[1:] for place, _, _ in differences(told[0], other))
    return [(place, [_value(settings, place) for settings in told]) for place in places]


def _value(settings: Any, place: str) -> str:
    for key in place.replace("[", ".[").split("."):
        try:
            settings = settings[int(key[1:-1])] if key.startswith("[") else settings[key]
        except (KeyError, IndexError, TypeError):
            return "\N{EN DASH}"
    return "\N{EN DASH}" if settings is None else str(settings)


def _entries(report: Report, benchmark: str) -> list[tuple[int, dict[str, Any]]]:
    """Return what a benchmark tells of every model of a run that it measured."""
    told = ((model.i, (model.scores or {}).get("benchmarks", {}).get(benchmark)) for model in report.models)
    return [(i, entry) for i, entry in told if entry and not entry.get("error")]


def _benchmarks(reports: Sequence[Report]) -> list[str]:
    scored = [model.scores for report in reports for model in report.models if model.scores]
    return list(dict.fromkeys(name for scores in scored for name in scores["benchmarks"]))


def drawn_metrics(reports: Sequence[Report]) -> dict[str, list[str]]:
    """Return the metrics to draw of each benchmark, those first that it calls its headline."""
    found: dict[str, list[str]] = {}
    for name in _benchmarks(reports):
        entries = [entry for report in reports for _, entry in _entries(report, name)]
        if entries:
            metrics = dict.fromkeys(metric for entry in reversed(entries) for metric in ordered(entry))
            found[name] = list(metrics)[:CURVES]
    return found


def curve(reports: Sequence[Report], benchmark: str, metric: str) -> dict[str, str] | None:
    """Return a metric over rounds with one line a run; None when no run has it."""
    points, last = [], None
    for report in reports:
        for i, entry in _entries(report, benchmark):
            row = entry["metrics"].get(metric)
            if row and row["value"] is not None:
                last = entry
                points.append(
                    {
                        **{"x": i, "series": report.run, "value": row["value"]},
                        **{"low": row.get("low"), "high": row.get("high")},
                        "label": f"{report.run}, iter_{i}: {show(row['value'], row['unit'])} "
                        f"({span(row, row['unit']) or 'no interval'}), n = {row['n']:,}",
                    }
                )
    if last is None:
        return None
    unit, better = last["metrics"][metric]["unit"], last["metrics"][metric]["better"]
    near, far = floor_lines(last, metric, points)
    counts = "" if last.get("counts", True) else "does not count: its judge failed"
    return {
        "title": title(benchmark, metric),
        "note": note(unit, BETTER.get(better, ""), counts, far),
        "svg": charts.curves(points, unit_of(unit), near, base="base"),
    }


def table(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """Return the last model's value of every metric in every run."""
    rows = []
    for name in _benchmarks(reports):
        last = [entries[-1] if (entries := _entries(report, name)) else None for report in reports]
        metrics = dict.fromkeys(metric for told in last if told for metric in told[1]["metrics"])
        rows += [
            {"benchmark": name, "metric": title(name, metric), "cells": [_cell(told, metric) for told in last]}
            for metric in metrics
        ]
    return rows


def _cell(told: tuple[int, dict[str, Any]] | None, metric: str) -> dict[str, Any] | None:
    row = told[1]["metrics"].get(metric) if told else None
    if not told or not row:
        return None
    counts = told[1].get("counts", True)
    return {
        "model": f"iter_{told[0]}",
        "value": show(row["value"], row["unit"]),
        "interval": span(row, row["unit"]),
        "n": row["n"],
        "tone": colour(row.get("minus_base"), row["better"], counts),
        "counts": counts,
    }


def did(reports: Sequence[Report]) -> list[dict[str, str]]:
    """Return drawings of what the loop did in each run: rows kept, held-out loss."""
    kept = [
        {
            **{"x": one.i, "series": report.run, "value": rows, "low": None, "high": None},
            "label": f"{report.run}, d_{one.i}: {rows:,} rows selected",
        }
        for report in reports
        for one in report.rounds
        if one.funnels
        for rows in [list(one.funnels.values())[-1]["rows_out"]]
    ]
    loss = [
        {
            **{"x": model.i, "series": report.run, "value": told["after"], "low": None, "high": None},
            "label": f"{report.run}, iter_{model.i}: {told['after']:.3f} nats a token",
        }
        for report in reports
        for model in report.models
        if model.training and (told := model.training["heldout"]) and told["after"] is not None
    ]
    drawn = []
    if kept:
        svg = charts.curves(kept, "rows", prefix="d_", zero=True)
        drawn.append({"title": "Rows trained on", "note": "rows that the last stage kept", "svg": svg})
    if loss:
        text = "nats a token, on rows of each run's own round: not the same rows in two runs"
        drawn.append({"title": "Held-out loss after training", "note": text, "svg": charts.curves(loss, "nats")})
    return drawn
