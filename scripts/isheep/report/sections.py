"""The parts of a run's page as tables and drawings, in the order in which they stand on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isheep.proof.cards import STAGES
from isheep.report import charts, costs, measures
from isheep.report.gather import Model, Report
from isheep.report.verdicts import colour, ordered, show, span, title, unit_of

CURVES = 3  # metrics of a benchmark that are drawn at once; the rest is folded away
FAR = 4  # a floor so many times the curve's height away would leave the curve a flat line
TOGETHER = 6  # curves in one drawing of the data's health
BETTER = {"higher": "higher is better", "lower": "lower is better"}


def benchmarks(report: Report) -> list[dict[str, Any]]:
    """Return every benchmark: curves of its metrics over the models, and a table of all that was measured."""
    measured = [model for model in report.models if model.scores]
    names = dict.fromkeys(name for model in measured for name in model.scores["benchmarks"])
    return [_benchmark(name, measured, report) for name in names]


def _benchmark(name: str, measured: list[Model], report: Report) -> dict[str, Any]:
    told = [(model, model.scores["benchmarks"][name]) for model in measured if name in model.scores["benchmarks"]]
    last = told[-1][1]
    metrics = list(dict.fromkeys(metric for _, entry in reversed(told) for metric in ordered(entry)))
    rows = []
    for model, entry in told:
        seconds = costs.benchmark_seconds(report.stages, model.i, model.scores)[name]
        for metric, row in (entry.get("metrics") or {}).items():
            rows.append(_metric_row(name, metric, model, entry, row, seconds))
    return {
        "name": name,
        "kind": last.get("kind", ""),
        "items": last.get("items"),
        "counts": all(entry.get("counts", True) for _, entry in told),
        "objections": list(dict.fromkeys(text for _, entry in told for text in entry.get("objections") or [])),
        "errors": _errors(told),
        "notes": [f"iter_{model.i}: {entry['note']}" for model, entry in told if entry.get("note")],
        "charts": [chart for metric in metrics[:CURVES] if (chart := _curve(name, metric, told))],
        "more": [chart for metric in metrics[CURVES:] if (chart := _curve(name, metric, told))],
        "rows": rows,
    }


def _errors(told: list[tuple[Model, dict[str, Any]]]) -> list[dict[str, str]]:
    """Return each error once, with the models that it met."""
    found: dict[str, list[str]] = {}
    for model, entry in told:
        if entry.get("error"):
            found.setdefault(entry["error"], []).append(f"iter_{model.i}")
    return [{"models": ", ".join(models), "text": text} for text, models in found.items()]


def _curve(name: str, metric: str, told: list[tuple[Model, dict[str, Any]]]) -> dict[str, str] | None:
    found = [(model, row) for model, entry in told if (row := (entry.get("metrics") or {}).get(metric))]
    found = [(model, row) for model, row in found if row["value"] is not None]
    if not found:
        return None
    unit, better = found[-1][1]["unit"], found[-1][1]["better"]
    points = [
        {
            **{"x": model.i, "series": "value", "value": row["value"], "low": row.get("low"), "high": row.get("high")},
            "label": f"iter_{model.i}: {show(row['value'], unit)}"
            + (f" (95 % {interval})" if (interval := span(row, unit)) else "")
            + f", n = {row['n']:,}",
        }
        for model, row in found
    ]
    near, far = floor_lines(told[-1][1], metric, points)
    return {
        "title": title(name, metric),
        "note": note(unit, BETTER.get(better, "neither side is better"), "with 95 % intervals", far),
        "svg": charts.curves(points, unit_of(unit), near, base="base"),
    }


def floor_lines(entry: dict[str, Any], metric: str, points: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Return the floors of a metric that fit its drawing, and those too far away to draw as a note.

    Parameters
    ----------
    entry, metric
        A benchmark's entry in scores.json; one of its metrics.
    points
        What is drawn: value, low, high.
    """
    drawn = [point[key] for point in points for key in ("value", "low", "high") if point[key] is not None]
    low, high = min(drawn), max(drawn)
    reach = FAR * (high - low)
    floors = [
        {"value": told[metric]["value"], "label": floor}
        for floor, told in (entry.get("floors") or {}).items()
        if metric in told and told[metric]["value"] is not None
    ]
    near = [one for one in floors if not reach or low - reach <= one["value"] <= high + reach]
    unit = entry["metrics"][metric]["unit"]
    far = ", ".join(f"{one['label']} {show(one['value'], unit)}" for one in floors if one not in near)
    return near, f"floors out of sight: {far}" if far else ""


def _metric_row(
    name: str, metric: str, model: Model, entry: dict[str, Any], row: dict[str, Any], seconds: float | None
) -> dict[str, Any]:
    unit, floors = row["unit"], entry.get("floors") or {}
    got = [(floor, told[metric]["value"]) for floor, told in floors.items() if metric in told]
    return {
        "model": f"iter_{model.i}",
        "metric": title(name, metric),
        "unit": "" if unit == "share" else unit,
        "better": row["better"],
        "n": row["n"],
        "value": show(row["value"], unit),
        "interval": span(row, unit),
        "floors": ", ".join(f"{floor} {show(value, unit)}" for floor, value in got),
        "differences": [
            _difference(row, f"minus_{other}", entry.get("counts", True)) for other in ("base", "previous")
        ],
        "counts": entry.get("counts", True),
        "tokens": costs.benchmark_tokens(entry),
        "seconds": seconds,
    }


def _difference(row: dict[str, Any], key: str, counts: bool) -> dict[str, str]:
    told = row.get(key)
    if not told:
        return {"text": "", "interval": "", "tone": ""}
    unit, tone = row["unit"], colour(told, row["better"], counts)
    return {"text": show(told["value"], unit, True), "interval": span(told, unit, True), "tone": tone}


def funnel(report: Report) -> dict[str, Any]:
    """Return the rows of every stage with the length of their bars, the reasons, and a drawing of where rows went."""
    rounds = [one for one in report.rounds if one.funnels]
    most = max((f["rows_out"] for one in rounds for f in one.funnels.values()), default=0)
    table = [
        {
            "round": f"d_{one.i}",
            "written": next(iter(one.funnels.values()))["rows_in"],
            "cells": [
                {"rows": told["rows_out"], "share": told["rows_out"] / most if most else 0} if told else None
                for told in (one.funnels.get(stage) for stage in STAGES)
            ],
        }
        for one in rounds
    ]
    counts: dict[tuple[str, str], dict[int, int]] = {}
    bars = []
    for one in rounds:
        for stage, told in one.funnels.items():
            for rule, rows in told["rejected"].items():
                counts.setdefault((stage, rule), {})[one.i] = rows
            if lost := sum(told["rejected"].values()):
                bars.append(_bar(one.i, stage, lost))
        bars.append(_bar(one.i, "kept", list(one.funnels.values())[-1]["rows_out"]))
    order = ["kept", *reversed(STAGES)]
    order = [name for name in order if any(bar["series"] == name for bar in bars)]
    reasons = [
        {"stage": stage, "rule": rule, "rows": [found.get(one.i, 0) for one in rounds]}
        for (stage, rule), found in sorted(counts.items(), key=lambda pair: list(STAGES).index(pair[0][0]))
    ]
    return {
        "stages": list(STAGES.values()),
        "rounds": [f"d_{one.i}" for one in rounds],
        "table": table,
        "reasons": reasons,
        "svg": charts.stacked(bars, "rows", order, "d_") if rounds else "",
    }


def _bar(i: int, series: str, rows: int) -> dict[str, Any]:
    how = "kept" if series == "kept" else f"rejected by {series}"
    return {"x": i, "series": series, "value": rows, "label": f"d_{i}: {rows:,} rows {how}"}


def health(report: Report) -> dict[str, Any]:
    """Return a drawing for each figure of the data's health, by group, and a table of all of them."""
    singles, quantiles = measures.series(report.rounds)
    groups: dict[str, dict[str, Any]] = {}
    for band in quantiles:
        svg = charts.bands(band.values, band.unit)
        about = note(band.unit, "median, middle half, and from 5 to 95 %")
        _group(groups, band.group)["charts"].append({"title": band.name or band.group, "note": about, "svg": svg})
    together: dict[tuple[str, ...], list[measures.Series]] = {}
    for one in singles:
        together.setdefault((one.group, one.about, one.unit, one.better), []).append(one)
        values = dict(one.values)
        row = {"name": f"{one.about} {one.name}".strip(), "unit": one.unit, "n": one.n}
        _group(groups, one.group)["rows"].append(row | {"values": [values.get(r.i) for r in report.rounds]})
    for (group, about, unit, better), told in together.items():
        found = [one for one in told if one.moves]
        for some in (found[k : k + TOGETHER] for k in range(0, len(found), TOGETHER)):
            name = f"{about}: {some[0].name}" if about and len(some) == 1 else about or some[0].name
            svg = charts.curves(_points(some), unit_of(unit), prefix="d_", zero=True)
            drawing = {"title": name, "note": note(unit, BETTER.get(better, "")), "svg": svg}
            _group(groups, group)["charts"].append(drawing)
    return {"groups": groups, "rounds": [f"d_{one.i}" for one in report.rounds]}


def _points(some: list[measures.Series]) -> list[dict[str, Any]]:
    return [
        {
            **{"x": i, "series": one.name, "value": value, "low": None, "high": None},
            "label": f"d_{i}, {one.name}: {show(value, one.unit)}",
        }
        for one in some
        for i, value in one.values
    ]


def note(*parts: str) -> str:
    """Return what stands under a title: the unit, then the rest."""
    return "; ".join(part for part in parts if part)


def _group(groups: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    return groups.setdefault(name, {"title": name.replace("_", " "), "charts": [], "rows": []})


def distributions(report: Report) -> dict[str, Any]:
    """Return the score histograms of every assessor, and how well each can tell right from wrong answers."""
    drawn = [
        {"title": name, "note": "rows by score", "svg": charts.histogram(bars, name)}
        for name in report.scores.assessors
        if (bars := report.scores.histogram(name))
    ]
    checks = [
        {"round": one.i, "name": name, **check}
        for one in report.rounds
        for name, check in (one.discrimination or {}).items()
    ]
    points = [
        {
            **{"x": check["round"], "series": check["name"], "value": check["auc"]},
            **{"low": check["low"], "high": check["high"]},
            "label": f"d_{check['round']}, {check['name']}: AUC {check['auc']:.2f} "
            f"({check['low']:.2f} to {check['high']:.2f}), n = {check['n']}",
        }
        for check in checks
        if check.get("auc") is not None
    ]
    svg = charts.curves(points, "AUC", [{"value": 0.5, "label": "chance"}], prefix="d_") if points else ""
    return {"charts": drawn, "auc": svg, "checks": checks}


def training(report: Report) -> dict[str, Any]:
    """Return the loss of every training by step, the held-out loss before and after, and a table."""
    trained = [model for model in report.models if model.training]
    steps = [
        {
            **{"step": one["step"], "value": one["loss"], "series": f"iter_{model.i}"},
            "label": f"iter_{model.i}, step {one['step']}: {one['loss']:.3f} nats a token",
        }
        for model in trained
        for one in model.training["loss"]
    ]
    heldout = [
        {
            **{"x": model.i, "series": f"{when} training", "value": model.training["heldout"][when]},
            **{"low": None, "high": None},
            "label": f"iter_{model.i}, {when} training: {model.training['heldout'][when]:.3f} nats a token",
        }
        for model in trained
        if model.training["heldout"]
        for when in ("before", "after")
        if model.training["heldout"][when] is not None
    ]
    drawn = []
    if steps:
        drawn.append({"title": "Training loss", "note": "nats a token, by step", "svg": charts.losses(_thinned(steps))})
    if heldout:
        svg = charts.curves(heldout, "nats a token")
        drawn.append({"title": "Held-out loss", "note": "nats a token; lower is better", "svg": svg})
    return {"charts": drawn, "models": trained}


def _thinned(steps: list[dict[str, Any]], most: int = 2000) -> list[dict[str, Any]]:
    """Return every n-th point when there are too many to see."""
    return steps[:: -(-len(steps) // most)]


def cost(report: Report) -> dict[str, Any]:
    """Return what every stage of every round cost, and a drawing of the seconds."""
    own = [stage for stage in report.stages if stage.key]
    rounds = sorted({stage.round for stage in own})
    sums: dict[tuple[int, str], float] = {}
    for stage in own:
        key = stage.round, costs.family(stage.name)
        sums[key] = sums.get(key, 0.0) + stage.seconds
    order: Sequence[str] = [name for name in (*costs.FAMILIES, costs.OTHER) if any(k[1] == name for k in sums)]
    bars = [
        {"x": i, "series": name, "value": seconds, "label": f"round {i}, {name}: {costs.clock(seconds)}"}
        for (i, name), seconds in sums.items()
    ]
    return {
        "rounds": rounds,
        "stages": costs.by_stage(own),
        "sums": {i: costs.total(stage for stage in own if stage.round == i) for i in rounds},
        "svg": charts.stacked(bars, "seconds", order, "round "),
        "borrowed": sorted({stage.owner for stage in own} - {report.run}),
        "hardware": sorted({stage.hardware for stage in own}),
    }
