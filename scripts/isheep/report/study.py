"""What a study found: one tidy table of every run, one of runs pooled over seeds, and one plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isheep.documents.tables import health_table, rows_of, scores_table
from isheep.evaluation.intervals.seeds import pooled
from isheep.report import compare
from isheep.report.gather import Report
from isheep.report.groups import SEED
from isheep.report.paired import metrics_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("of", "round", "metric", "value", "low", "high", "n", "unit")
OVER_SEEDS = ("round", "metric", "value", "low", "high", "n", "seeds", "unit", "minus_base", "minus_low", "minus_high")


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
        Columns run, the axes, and `COLUMNS`: `of` is data (a stage's rows in d_i, what an assessor could tell, health),
        model (a benchmark's metric of iter_i), training (held-out loss in nats a token) or cost (tokens that a stage's
        jobs wrote, in its owner).
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
        for name, check in (one.discrimination or {}).items():
            yield "data", one.i, f"{name}.auc", check["auc"], check["low"], check["high"], check["n"], "share"
        for row in rows_of(health_table([one.health] if one.health else [])):
            yield "data", one.i, row["measure"], row["value"], None, None, row["n"], row["unit"]
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


def over_seeds(reports: Sequence[Report], axes: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return the metrics of runs that differ in their seed alone, with intervals over seeds and items.

    Parameters
    ----------
    reports, axes
        As of `table`.

    Returns
    -------
    DataFrame
        The axes but the seed, and `OVER_SEEDS`: `minus_base` is the difference from iter_0, item by item. A round that
        one of the runs lacks is left out.
    """
    import pandas as pd

    names = [axis for axis in dict.fromkeys(axis for labels in axes.values() for axis in labels) if axis != SEED]
    groups: dict[tuple[str, ...], list[Report]] = {}
    for report in reports:
        groups.setdefault(tuple(axes.get(report.run, {}).get(axis, "") for axis in names), []).append(report)
    rows = [[*labels, *values] for labels, group in groups.items() for values in _over_seeds(group)]
    return pd.DataFrame(rows, columns=[*names, *OVER_SEEDS])


def _over_seeds(reports: Sequence[Report]) -> Iterator[tuple[Any, ...]]:
    by_round = [
        {model.i: metrics_of(report, model) for model in report.models if model.scores is not None}
        for report in reports
    ]
    for i in sorted(set.intersection(*map(set, by_round))):
        for key, (_, _, metric) in by_round[0][i].items():
            if not all(key in measured[i] for measured in by_round):
                continue
            mine = [measured[i][key][2] for measured in by_round]
            bases = [measured.get(0, {}).get(key) for measured in by_round]
            own = pooled(mine)
            if own is None:
                continue
            against = pooled(mine, [base[2] for base in bases if base]) if i and all(bases) else None
            minus = (against.value, against.low, against.high) if against else (None, None, None)
            yield i, ".".join(key), own.value, own.low, own.high, own.n, own.seeds, metric.unit, *minus


def plot(reports: Sequence[Report]) -> str:
    """Return the first metric of the first benchmark as SVG, a line a run; without scores, the rows trained on."""
    for benchmark, metrics in compare.drawn_metrics(reports).items():
        for metric in metrics:
            if drawn := compare.curve(reports, benchmark, metric):
                return str(drawn["svg"])
    return str(compare.did(reports)[0]["svg"])
