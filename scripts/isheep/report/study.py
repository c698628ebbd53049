"""What a study found: one tidy table of every run, and one plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isheep.documents.tables import rows_of, scores_table
from isheep.report import compare
from isheep.report.gather import Report

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("of", "round", "metric", "value", "low", "high", "n", "unit")


def table(reports: Sequence[Report], axes: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return a row for every number of every run.

    Parameters
    ----------
    reports
        The runs.
    axes
        By run: the label of each axis, a column each.

    Returns
    -------
    DataFrame
        Columns run, the axes, and `COLUMNS`: `of` is data (a stage's rows in d_i), model (a benchmark's metric of
        iter_i), training (held-out loss in nats a token) or cost (tokens that a stage's jobs wrote, in its owner).
    """
    import pandas as pd

    names = list(dict.fromkeys(axis for labels in axes.values() for axis in labels))
    rows = [
        {"run": report.run, **axes.get(report.run, {}), **dict(zip(COLUMNS, values, strict=True))}
        for report in reports
        for values in _numbers(report)
    ]
    return pd.DataFrame(rows, columns=["run", *names, *COLUMNS])


def _numbers(report: Report) -> Iterator[tuple[Any, ...]]:
    for one in report.rounds:
        for name, funnel in one.funnels.items():
            yield "data", one.i, f"{name}.rows", funnel["rows_out"], None, None, funnel["rows_in"], "rows"
    for model in report.models:
        if model.training and (loss := model.training["heldout"]):
            yield "training", model.i, "heldout_loss", loss["after"], None, None, loss["tokens"], "nats"
    for row in rows_of(scores_table([model.scores for model in report.models if model.scores])):
        if row["error"] is None and row["value"] is not None:
            metric = f"{row['benchmark']}.{row['metric']}"
            yield "model", row["round"], metric, row["value"], row["low"], row["high"], row["n"], row["unit"]
    for stage in report.stages:
        if written := stage.tokens.get("completion", 0):
            yield "cost", stage.round, f"{stage.name}.tokens@{stage.owner}", written, None, None, None, "tokens"


def plot(reports: Sequence[Report]) -> str:
    """Return the first metric of the first benchmark as SVG, a line a run; without scores, the rows trained on."""
    for benchmark, metrics in compare.drawn_metrics(reports).items():
        for metric in metrics:
            if drawn := compare.curve(reports, benchmark, metric):
                return str(drawn["svg"])
    return str(compare.did(reports)[0]["svg"])
