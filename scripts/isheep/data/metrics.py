"""What a benchmark's entry in scores.json says of its metrics: which stand for it, and how they lie to their floors."""

from __future__ import annotations

from typing import NamedTuple

from isheep.documents.models import BenchmarkScores, Floors, MetricScore, PlainScore


class Floor(NamedTuple):
    """An answer without skill ("lol"), and what it gets."""

    name: str
    value: float


def ordered(entry: BenchmarkScores) -> list[str]:
    """Return the metrics of a benchmark, those first that it calls its headline."""
    metrics = entry["metrics"]
    return list(dict.fromkeys([*(name for name in entry["headline"] if name in metrics), *metrics]))


def headline(entry: BenchmarkScores) -> list[str]:
    """Return the metrics that a benchmark calls its headline; all where it names none that it has."""
    return [name for name in entry["headline"] if name in entry["metrics"]] or list(entry["metrics"])


def floors_of(metric: str, floors: Floors) -> list[Floor]:
    """Return what each answer without skill gets in a metric, in the order of the floors."""
    values = ((name, scores[metric]["value"]) for name, scores in floors.items() if metric in scores)
    return [Floor(name, value) for name, value in values if value is not None]


def best_floor(metric: str, row: MetricScore, floors: Floors) -> Floor | None:
    """Return the hardest floor of a metric; None without floors, or where neither side of the metric is better."""
    known = floors_of(metric, floors)
    if not known or not row["better"]:
        return None
    return (max if row["better"] == "higher" else min)(known, key=lambda floor: floor.value)


def is_past(row: PlainScore, better: str, value: float) -> bool | None:
    """Return whether the whole interval of a metric is on the better side of a value; None without an interval."""
    low, high = row["low"], row["high"]
    if low is None or high is None:
        return None
    return low > value if better == "higher" else high < value
