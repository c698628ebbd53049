"""The scores of a model as its card tells them: each with its interval, its floors and the difference to the base."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from isheep.records import read_json

ARROWS = {"higher": "↑", "lower": "↓"}
Row = dict[str, Any]


def read_scores(files: Iterable[Path]) -> tuple[list[Row], list[str]]:
    """Return a row for every metric of some evaluations, and the benchmarks that have none.

    Parameters
    ----------
    files
        JSON objects `{"benchmark", "metrics": {metric: {"value", "n", "low", "high", "unit", "better", "minus_base"}},
        "floors": {floor: {metric: {"value", ...}}}}`; others beside them are passed over.
    """
    rows: list[Row] = []
    empty: list[str] = []
    for file in sorted(files, key=lambda file: file.name):
        told = read_json(file)
        if not isinstance(told, dict) or not {"benchmark", "metrics"} <= set(told):
            continue
        if not told["metrics"]:
            empty.append(told["benchmark"])
        rows += [_row(told["benchmark"], name, one, told.get("floors", {})) for name, one in told["metrics"].items()]
    return rows, empty


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
