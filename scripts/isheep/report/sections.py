"""The parts of a run's page as tables and drawings, in the order in which they stand on it."""

from __future__ import annotations

from typing import Any, TypedDict

from isheep.data.metrics import floors_of, ordered
from isheep.data.numbers import shown, span
from isheep.documents.models import BenchmarkScores, Difference, MetricScore
from isheep.documents.tables import (
    costs_table,
    discrimination_table,
    funnel_table,
    loss_table,
    loss_unit,
    preferences_table,
    rejections_table,
    rows_of,
    scores_table,
    training_table,
)
from isheep.report import charts, costs, measures
from isheep.report.charts import Row
from isheep.report.gather import Report
from isheep.report.verdicts import colour, title, unit_of
from isheep.stages.table import table as stage_table

Part = dict[str, Any]
"""Names that a template uses."""
CURVES = 3  # metrics of a benchmark that are drawn at once; the rest is folded away
FAR = 4  # a floor so many times the curve's height away would leave the curve a flat line
COLLAPSE = ("diversity", "duplicates")  # what falls and grows first when a loop collapses: shown open, before all else
TOGETHER = 6  # curves in one drawing of the data's health
BETTER = {"higher": "higher is better", "lower": "lower is better"}


class Drawing(TypedDict):
    """A figure: its heading, what stands under it, the drawing."""

    title: str
    note: str
    svg: str


def benchmarks(report: Report) -> list[Part]:
    """Return every benchmark: curves of its metrics over the models, and a table of all that was measured."""
    scores = [model.scores for model in report.models if model.scores]
    measured = scores_table(scores)
    names = dict.fromkeys(name for scored in scores for name in scored["benchmarks"])
    seconds = {scored["round"]: costs.benchmark_seconds(report.stages, scored["round"], scored) for scored in scores}
    return [
        _benchmark(
            name,
            {scored["round"]: scored["benchmarks"][name] for scored in scores if name in scored["benchmarks"]},
            rows_of(measured[measured["benchmark"] == name]),
            {i: by_benchmark.get(name) for i, by_benchmark in seconds.items()},
        )
        for name in names
    ]


def _benchmark(
    name: str, entries: dict[int, BenchmarkScores], rows: list[Row], seconds: dict[int, float | None]
) -> Part:
    """Return one benchmark's part of the page.

    Parameters
    ----------
    name, entries
        Of the benchmark; its entry in the scores of each model, by i of iter_i.
    rows, seconds
        Its rows of the table of scores; how long it took for each model.
    """
    last = list(entries.values())[-1]
    metrics = list(dict.fromkeys(metric for entry in reversed(entries.values()) for metric in ordered(entry)))
    drawn = {metric: _curve(name, metric, entries) for metric in metrics}
    return {
        "name": name,
        "kind": last["kind"],
        "items": last["items"],
        "counts": all(entry["counts"] for entry in entries.values()),
        "objections": list(dict.fromkeys(text for entry in entries.values() for text in entry["objections"])),
        "errors": _errors(entries),
        "notes": [f"iter_{i}: {entry['note']}" for i, entry in entries.items() if entry["note"]],
        "charts": [chart for metric in metrics[:CURVES] if (chart := drawn[metric])],
        "more": [chart for metric in metrics[CURVES:] if (chart := drawn[metric])],
        "rows": [_metric_row(row, entries[row["round"]], seconds[row["round"]]) for row in rows],
    }


def _errors(entries: dict[int, BenchmarkScores]) -> list[dict[str, str]]:
    """Return each error once, with the models that it met."""
    by_text: dict[str, list[str]] = {}
    for i, entry in entries.items():
        if entry["error"]:
            by_text.setdefault(entry["error"], []).append(f"iter_{i}")
    return [{"models": ", ".join(models), "text": text} for text, models in by_text.items()]


def _curve(name: str, metric: str, entries: dict[int, BenchmarkScores]) -> Drawing | None:
    scored = {i: entry["metrics"][metric] for i, entry in entries.items() if metric in entry["metrics"]}
    points = [point(i, "value", f"iter_{i}", row) for i, row in scored.items() if row["value"] is not None]
    if not points:
        return None
    last = list(entries.values())[-1]
    row = list(scored.values())[-1]
    near, far = floor_lines(metric, row["unit"], last, points)
    return {
        "title": title(name, metric),
        "note": note(row["unit"], BETTER.get(row["better"], "neither side is better"), "with 95 % intervals", far),
        "svg": charts.curves(points, unit_of(row["unit"]), near, base="base"),
    }


def point(i: int, series: str, who: str, row: MetricScore) -> Row:
    """Return a model's value of a metric as a point of a curve, with its interval and a label that says both."""
    interval = span(row, row["unit"])
    label = f"{who}: {shown(row['value'], row['unit'])}{f' (95 % {interval})' if interval else ''}, n = {row['n']:,}"
    return {"x": i, "series": series, "value": row["value"], "low": row["low"], "high": row["high"], "label": label}


def floor_lines(metric: str, unit: str, entry: BenchmarkScores, points: list[Row]) -> tuple[list[Row], str]:
    """Return the floors of a metric that fit its drawing, and those too far away to draw as a note.

    Parameters
    ----------
    metric, unit
        The metric and the unit of its values.
    entry
        Its benchmark's entry in scores.json.
    points
        What is drawn: value, low, high.
    """
    drawn = [point[key] for point in points for key in ("value", "low", "high") if point[key] is not None]
    low, high = min(drawn), max(drawn)
    reach = FAR * (high - low)
    floors = floors_of(metric, entry["floors"])
    near = [floor for floor in floors if not reach or low - reach <= floor.value <= high + reach]
    far = ", ".join(f"{floor.name} {shown(floor.value, unit)}" for floor in floors if floor not in near)
    lines = [{"value": floor.value, "label": floor.name} for floor in near]
    return lines, f"floors out of sight: {far}" if far else ""


def _metric_row(row: Row, entry: BenchmarkScores, seconds: float | None) -> Part:
    unit = row["unit"]
    floors = floors_of(row["metric"], entry["floors"])
    metric = entry["metrics"][row["metric"]]
    return {
        **{name: row[name] for name in ("model", "better", "n", "counts")},
        "metric": title(row["benchmark"], row["metric"]),
        "unit": "" if unit == "share" else unit,
        "value": shown(row["value"], unit),
        "interval": span(row, unit),
        "floors": ", ".join(f"{floor.name} {shown(floor.value, unit)}" for floor in floors),
        "differences": [
            _difference(metric, metric.get("minus_base"), entry["counts"]),
            _difference(metric, metric.get("minus_previous"), entry["counts"]),
        ],
        "tokens": costs.benchmark_tokens(entry),
        "seconds": seconds,
    }


def _difference(row: MetricScore, difference: Difference | None, counts: bool) -> dict[str, str]:
    if not difference:
        return {"text": "", "interval": "", "tone": ""}
    unit, tone = row["unit"], colour(difference, row["better"], counts)
    return {"text": shown(difference["value"], unit, True), "interval": span(difference, unit, True), "tone": tone}


def funnel(report: Report) -> Part:
    """Return the rows of every stage with the length of their bars, the reasons, and a drawing of where rows went."""
    funnels = [document for data in report.rounds for document in data.funnels.values()]
    kept, gone = funnel_table(funnels), rejections_table(funnels)
    rounds = list(dict.fromkeys(int(i) for i in kept["round"]))
    most = kept["rows_out"].max() if rounds else 0
    table, bars = [], []
    for i in rounds:
        of_round = kept[kept["round"] == i]
        left = dict(zip(of_round["stage"], of_round["rows_out"].tolist(), strict=True))
        cells = [
            {"rows": left[s], "share": left[s] / most if most else 0} if s in left else None
            for s in stage_table().words
        ]
        table.append({"round": f"d_{i}", "written": int(of_round["rows_in"].iloc[0]), "cells": cells})
        lost = gone[gone["round"] == i].groupby("stage", sort=False)["rows"].sum()
        bars += [_bar(i, str(stage), rows) for stage, rows in lost.items()]
        bars.append(_bar(i, "kept", int(of_round["rows_out"].iloc[-1])))
    order = [name for name in ("kept", *reversed(stage_table().words)) if any(bar["series"] == name for bar in bars)]
    by_rule = gone.pivot_table(
        index=["stage", "rule"], columns="round", values="rows", fill_value=0, sort=False, aggfunc="sum"
    ).reindex(columns=rounds, fill_value=0)
    reasons = [
        {"stage": stage, "rule": rule, "rows": [int(by_rule.loc[(stage, rule), i]) for i in rounds]}
        for stage, rule in sorted(by_rule.index, key=lambda pair: list(stage_table().words).index(pair[0]))
    ]
    return {
        "stages": list(stage_table().words.values()),
        "rounds": [f"d_{i}" for i in rounds],
        "table": table,
        "reasons": reasons,
        "svg": charts.stacked(bars, "rows", order, "d_") if rounds else "",
    }


def _bar(i: int, series: str, rows: int) -> Row:
    how = "kept" if series == "kept" else f"rejected by {series}"
    return {"x": i, "series": series, "value": int(rows), "label": f"d_{i}: {rows:,} rows {how}"}


def health(report: Report) -> Part:
    """Return a drawing for each figure of the data's health, by group, and a table of all of them."""
    singles, quantiles = measures.series(report.rounds)
    groups: dict[str, Part] = {}
    for band in quantiles:
        svg = charts.bands(band.values, band.unit)
        about = note(band.unit, "median, middle half, and from 5 to 95 %")
        _group(groups, band.group)["charts"].append({"title": band.name or band.group, "note": about, "svg": svg})
    together: dict[tuple[str, ...], list[measures.Series]] = {}
    for item in singles:
        together.setdefault((item.group, item.about, item.unit, item.better), []).append(item)
        values = dict(item.values)
        row = {"name": f"{item.about} {item.name}".strip(), "unit": item.unit, "n": item.n}
        _group(groups, item.group)["rows"].append(row | {"values": [values.get(r.i) for r in report.rounds]})
    for (group, about, unit, better), members in together.items():
        moving = [item for item in members if item.moves]
        for some in (moving[k : k + TOGETHER] for k in range(0, len(moving), TOGETHER)):
            name = f"{about}: {some[0].name}" if about and len(some) == 1 else about or some[0].name
            svg = charts.curves(_points(some), unit_of(unit), prefix="d_", zero=True)
            drawing = {"title": name, "note": note(unit, BETTER.get(better, "")), "svg": svg}
            _group(groups, group)["charts"].append(drawing)
    order = [*(name for name in COLLAPSE if name in groups), *(name for name in groups if name not in COLLAPSE)]
    groups = {name: groups[name] | {"open": name in COLLAPSE} for name in order}
    return {"groups": groups, "rounds": [f"d_{item.i}" for item in report.rounds]}


def _points(some: list[measures.Series]) -> list[Row]:
    return [
        {
            **{"x": i, "series": series.name, "value": value, "low": None, "high": None},
            "label": f"d_{i}, {series.name}: {shown(value, series.unit)}",
        }
        for series in some
        for i, value in series.values
    ]


def note(*parts: str) -> str:
    """Return what stands under a title: the unit, then the rest."""
    return "; ".join(part for part in parts if part)


def _group(groups: dict[str, Part], name: str) -> Part:
    return groups.setdefault(name, {"title": name.replace("_", " "), "charts": [], "rows": []})


def distributions(report: Report) -> Part:
    """Return the score histograms of every assessor, and how well each can tell right from wrong answers."""
    drawn = [
        {"title": name, "note": "rows by score", "svg": charts.histogram(bars, name)}
        for name in report.scores.assessors
        if (bars := report.scores.histogram(name))
    ]
    checks = rows_of(discrimination_table({data.i: data.discrimination or {} for data in report.rounds}))
    points = [
        {
            **{"x": check["round"], "series": check["assessor"], "value": check["auc"]},
            **{"low": check["low"], "high": check["high"]},
            "label": f"d_{check['round']}, {check['assessor']}: AUC {check['auc']:.2f} "
            f"({check['low']:.2f} to {check['high']:.2f}), n = {check['n']}",
        }
        for check in checks
        if check["auc"] is not None
    ]
    svg = charts.curves(points, "AUC", [{"value": 0.5, "label": "chance"}], prefix="d_") if points else ""
    return {"charts": drawn, "auc": svg, "checks": checks}


def training(report: Report) -> Part:
    """Return the loss of every training by step, the held-out loss before and after, and tables."""
    reports = {model.i: model.training for model in report.models if model.training}
    unit = loss_unit(reports.values())
    trained = rows_of(training_table(reports, {model.i: model.merging for model in report.models if model.merging}))
    steps = [
        {
            **{"step": row["step"], "value": row["loss"], "series": row["model"]},
            "label": f"{row['model']}, step {row['step']}: {row['loss']:.3f} {unit}",
        }
        for row in rows_of(loss_table(reports))
    ]
    heldout = [
        {
            **{"x": row["round"], "series": f"{when} training", "value": row[when], "low": None, "high": None},
            "label": f"{row['model']}, {when} training: {row[when]:.3f} {unit}",
        }
        for row in trained
        for when in ("before", "after")
        if row[when] is not None
    ]
    drawn: list[Drawing] = []
    if steps:
        svg = charts.losses(_thinned(steps), unit)
        drawn.append({"title": "Training loss", "note": f"{unit}, by step", "svg": svg})
    if heldout:
        svg = charts.curves(heldout, unit)
        drawn.append({"title": "Held-out loss", "note": f"{unit}; lower is better", "svg": svg})
    return {"charts": drawn, "models": trained, "unit": unit, "pairs": rows_of(preferences_table(reports))}


def _thinned(steps: list[Row], most: int = 2000) -> list[Row]:
    """Return every n-th point when there are too many to see."""
    return steps[:: -(-len(steps) // most)]


def cost(report: Report) -> Part:
    """Return what every stage of every round cost, and a drawing of the seconds."""
    own = [stage for stage in report.stages if stage.key]
    frame = costs_table(own)
    sums = frame.groupby(["round", "does"], sort=False)["seconds"].sum()
    bars = [
        {"x": i, "series": does, "value": seconds, "label": f"round {i}, {does}: {costs.clock(seconds)}"}
        for i, does, seconds in sums.reset_index().itertuples(index=False)
    ]
    order = [does for does in dict.fromkeys(stage_table().kinds_of_work) if does in set(frame["does"])]
    rounds = sorted({stage.round for stage in own})
    return {
        "rounds": rounds,
        "stages": costs.by_stage(own),
        "sums": {i: costs.total(stage for stage in own if stage.round == i) for i in rounds},
        "svg": charts.stacked(bars, "seconds", order, "round "),
        "borrowed": sorted({stage.owner for stage in own} - {report.run}),
        "hardware": sorted({stage.hardware for stage in own}),
    }
