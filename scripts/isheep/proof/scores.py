"""The scores of a model as its card tells them: each with its interval, its floors and the difference to the base."""

from __future__ import annotations

from typing import Any

from isheep.data.metrics import floors_of, is_past
from isheep.documents.models import ModelScores
from isheep.documents.tables import rows_of, scores_table

ARROWS = {"higher": "↑", "lower": "↓"}
Told = dict[str, Any]


def tell_scores(scores: ModelScores) -> tuple[list[Told], list[str]]:
    """Return a row for every headline metric of a model's benchmarks, and what to say of those without numbers.

    Parameters
    ----------
    scores
        What stage score_model writes; numbers that do not count (the judge failed its calibration) are told in words
        only.
    """
    frame = scores_table([scores])
    headlines = frame[frame["headline"].astype(bool) & frame["counts"].astype(bool)]
    return [_row(row, scores) for row in rows_of(headlines)], _notes(scores)


def _notes(scores: ModelScores) -> list[str]:
    notes = []
    for benchmark, entry in scores["benchmarks"].items():
        if entry["error"]:
            notes.append(f"{benchmark}: {entry['error']}")
        if not entry["counts"]:
            notes.append(f"{benchmark}: its numbers do not count; its judge: {'; '.join(entry['objections'])}")
    return notes


def _row(row: Told, scores: ModelScores) -> Told:
    entry = scores["benchmarks"][row["benchmark"]]
    base = {"value": row["minus_base"], "low": row["minus_base_low"], "high": row["minus_base_high"]}
    floor = row["floor"]
    past = is_past(entry["metrics"][row["metric"]], row["better"], row["floor_value"]) if floor else None
    return {
        **{name: row[name] for name in ("benchmark", "metric", "n", "value", "low", "high")},
        "unit": " ".join(filter(None, (row["unit"], ARROWS.get(row["better"], "")))),
        "minus_base": None if base["value"] is None else base,
        "floors": {floor.name: floor.value for floor in floors_of(row["metric"], entry["floors"])},
        # The floor that the interval does not leave behind, if there is one.
        "reached": floor if past is False else None,
    }
