"""The tables beside a page: every score, every stage's rows, every stage's cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isheep.documents.tables import costs_table, funnel_table, scores_table
from isheep.report.gather import Report

if TYPE_CHECKING:
    import pandas as pd


def frames_beside(report: Report) -> dict[str, pd.DataFrame]:
    """Return scores, funnel and costs of a run, by the names of their files; what has not run has no rows."""
    return {
        "scores": scores_table(model.scores for model in report.models if model.scores),
        "funnel": funnel_table(funnel for data in report.rounds for funnel in data.funnels.values()),
        "costs": costs_table(report.stages),
    }
