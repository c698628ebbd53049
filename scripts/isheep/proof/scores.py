"""The scores of a model as its card tells them: each with its interval, its floors and the difference to the base."""

from __future__ import annotations

from typing import Any

ARROWS = {"higher": "↑", "lower": "↓"}
Row = dict[str, Any]


def tell_scores(scores: dict[str, Any]) -> tuple[list[Row], list[str]]:
    """Return a row for every headline metric of a model's benchmarks, and what to say of those without numbers.

    Parameters
    ----------
    scores
        What stage score_model writes: `{"benchmarks": {name: {"metrics", "floors", "headline", "error", "counts",
        "objections"}}}`; numbers that do not count (the judge failed its calibration) are told in words only.
    """
    rows: list[Row] = []
    notes: list[str] = []
    for benchmark, told in scores["benchmarks"].items():
        if told["error"]:
            notes.append(f"{benchmark}: {told['error']}")
        if not told["counts"]:
            notes.append(f"{benchmark}: its numbers do not count; its judge: {'; '.join(told['objections'])}")
            continue
        metrics = told["metrics"]
        shown = [name for name in told["headline"] if name in metrics] or list(metrics)
        rows += [_row(benchmark, name, metrics[name], told["floors"]) for name in shown]
    return rows, notes


def _row(benchmark: str, metric: str, told: dict[str, Any], floors: dict[str, Any]) -> Row:
    better = told.get("better", "")
    of_metric = {floor: one[metric]["value"] for floor, one in floors.items() if one.get(metric)}
    of_metric = {floor: value for floor, value in of_metric.items() if value is not None}
    return {
        "benchmark": benchmark,
        "metric": metric,
        "unit": " ".join(filter(None, (told.get("unit", ""), ARROWS.get(better, "")))),
        "n": told["n"],
        "value": told["value"],
        "low": told.get("low"),
        "high": told.get("high"),
        "minus_base": told.get("minus_base") or None,
        "floors": of_metric,
        "reached": _reached(told, better, of_metric),
    }


def _reached(told: dict[str, Any], better: str, floors: dict[str, float]) -> str | None:
    """Return the floor that the metric's interval does not leave behind, if there is one."""
    low, high = told.get("low"), told.get("high")
    if not floors or low is None or high is None:
        return None
    if better == "higher":
        best = max(floors, key=lambda floor: floors[floor])
        return best if low <= floors[best] else None
    if better == "lower":
        best = min(floors, key=lambda floor: floors[floor])
        return best if high >= floors[best] else None
    return None
