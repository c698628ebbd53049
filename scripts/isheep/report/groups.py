"""Runs of one config looked at together: those that differ by seed alone, and a setting against the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isheep.data.files import digest
from isheep.data.numbers import shown, span
from isheep.documents.tables import rows_of
from isheep.evaluation.intervals.seeds import Pooled, pooled
from isheep.report import charts
from isheep.report.gather import Report
from isheep.report.page import without_places
from isheep.report.paired import last_metrics
from isheep.report.sections import BETTER, Drawing, Part, note
from isheep.report.verdicts import title, unit_of

if TYPE_CHECKING:
    import pandas as pd

# Settings in which runs may differ without differing in what comes out.
ASIDE = ("resources", "report", "publish")
SEED = "seed"
DRAWN = 6  # settings that are drawn against the score


def by_seed(reports: Sequence[Report], scores: pd.DataFrame) -> list[Part]:
    """Return the runs that differ by seed alone, with mean and spread of every headline metric of their last models.

    Parameters
    ----------
    reports
        The runs.
    scores
        `compare.last_scores` of them.

    Returns
    -------
    list
        runs, seeds; rows with benchmark, metric, n (runs), mean, interval (over seeds and items), spread (standard
        deviation between runs), lowest, highest, as text.
    """
    groups: dict[str, list[Report]] = {}
    for report in reports:
        kept = {key: value for key, value in report.settings.items() if key not in (*ASIDE, SEED)}
        groups.setdefault(digest(without_places(kept)), []).append(report)
    headlines = scores[scores["headline"].astype(bool) & scores["counts"].astype(bool) & scores["value"].notna()]
    return [
        {
            "runs": [report.run for report in group],
            "seeds": [report.settings[SEED] for report in group],
            "rows": _spread(headlines[headlines["run"].isin([report.run for report in group])], _pooled(group)),
        }
        for group in groups.values()
        if len(group) > 1
    ]


def _pooled(reports: Sequence[Report]) -> dict[tuple[str, str], Pooled | None]:
    """Return the metrics that the last models of all runs have, over seeds and items, by benchmark and metric."""
    measured = [last_metrics(report) for report in reports]
    shared = set.intersection(*map(set, measured))
    return {key: pooled([metrics[key][2] for metrics in measured]) for key in shared}


def _spread(scores: pd.DataFrame, over_seeds: Mapping[tuple[str, str], Pooled | None]) -> list[Part]:
    rows = []
    for key, group in scores.groupby(["benchmark", "metric", "unit"], sort=False):
        benchmark, metric, unit = map(str, key)
        values = group["value"]
        both = over_seeds.get((benchmark, metric))
        figures = {"mean": values.mean(), "lowest": values.min(), "highest": values.max()}
        rows.append(
            {
                "benchmark": benchmark,
                "metric": title(benchmark, metric),
                "n": len(values),
                "interval": span({"low": both.low, "high": both.high}, unit) if both else "",
                "spread": shown(float(values.std(ddof=1)), unit) if len(values) > 1 else "",
                **{name: shown(float(value), unit) for name, value in figures.items()},
            }
        )
    return rows


def against_settings(
    reports: Sequence[Report], changed: Sequence[tuple[str, list[str]]], scores: pd.DataFrame
) -> list[Drawing]:
    """Return a drawing of each changed setting against the first metric of each benchmark: a point a run.

    Parameters
    ----------
    reports, changed
        The runs; the settings in which they differ, with each run's value.
    scores
        `compare.last_scores` of them.
    """
    values = {place: dict(zip([report.run for report in reports], told, strict=True)) for place, told in changed}
    counted = scores[scores["headline"].astype(bool) & scores["counts"].astype(bool) & scores["value"].notna()]
    firsts = {row["benchmark"]: row["metric"] for row in reversed(rows_of(counted))}
    drawn: list[Drawing] = []
    for place in [place for place in values if place != SEED][:DRAWN]:
        for benchmark, metric in reversed(firsts.items()):
            rows = rows_of(counted[(counted["benchmark"] == benchmark) & (counted["metric"] == metric)])
            if len({values[place][row["run"]] for row in rows}) > 1:
                drawn.append(_against(place, values[place], benchmark, metric, rows))
    return drawn


def _against(
    place: str, values: Mapping[str, str], benchmark: str, metric: str, rows: Sequence[dict[str, Any]]
) -> Drawing:
    unit = rows[0]["unit"]
    points = [
        {
            **{"x": values[row["run"]], "value": row["value"], "low": row["low"], "high": row["high"]},
            "label": f"{row['run']}, {row['model']}: {place} {values[row['run']]}, {shown(row['value'], unit)}",
        }
        for row in rows
    ]
    return {
        "title": f"{title(benchmark, metric)} of {benchmark}, by {place}",
        "note": note(unit, BETTER.get(rows[0]["better"], ""), "last models, 95 % intervals"),
        "svg": charts.against(points, unit_of(unit), place),
    }
