"""The end of a run in one screen: the funnel of every round, what assessors could tell, what training did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COLUMNS = ("round", "prompts", "outputs", "filtered", "evaluated", "selected")
STAGES = ("generate_prompts", "generate_outputs", "filter_outputs", "assess_outputs", "select_data")


def write_summary(
    run: str,
    funnels: Sequence[dict[str, Any]],
    discriminations: Sequence[dict[str, Any]],
    trainings: Sequence[dict[str, Any]],
    mergings: Sequence[dict[str, Any]],
    models: Sequence[str],
    scores: Sequence[dict[str, Any]] = (),
) -> str:
    """Return the summary of a run as text.

    Parameters
    ----------
    run
        Its name.
    funnels
        Records of every stage and round.
    discriminations, trainings, mergings
        Reports of every round, in order.
    models
        Paths of the merged models iter_1, iter_2, ...
    scores
        Scores of the base and of every model, in order; none when nothing was measured.
    """
    lines = [f"Run {run}", "", "Rows kept by each stage", ""]
    rounds = sorted({funnel["round"] for funnel in funnels})
    table = [[f"d_{i}", *(f"{_at(funnels, stage, i)['rows_out']:,}" for stage in STAGES)] for i in rounds]
    lines += _table(COLUMNS, table)
    lines += ["", "Rows rejected, by rule", ""]
    reasons = [
        [f"d_{funnel['round']}", funnel["stage"], rule, f"{count:,}"]
        for funnel in sorted(funnels, key=lambda funnel: (funnel["round"], STAGES.index(funnel["stage"])))
        for rule, count in funnel["rejected"].items()
    ]
    lines += _table(("round", "stage", "rule", "rows"), reasons) if reasons else ["none"]
    lines += ["", "Can the assessors tell an answer to its prompt from an answer to another? (AUC, 0.5 is chance)", ""]
    checks = [
        [f"d_{i}", name, f"{check['auc']:.2f}", f"{check['low']:.2f}-{check['high']:.2f}", str(check["n"])]
        for i, discrimination in enumerate(discriminations)
        for name, check in discrimination.items()
        if check["auc"] is not None
    ]
    lines += _table(("round", "assessor", "AUC", "95 %", "n"), checks) if checks else ["not measured"]
    lines += ["", "Training (loss in nats a token of the answers)", ""]
    lines += _table(
        ("model", "rows", "steps", "held-out rows", "held-out loss before", "after"),
        [[f"iter_{i}", *_training(report)] for i, report in enumerate(trainings, start=1)],
    )
    if scores:
        lines += ["", *_scores(scores)]
    lines += ["", "Merged models", ""]
    stops = [f"{_share(report)} of probe answers stop by themselves" for report in mergings]
    lines += [f"  {model}   {stop}" for model, stop in zip(models, stops, strict=True)]
    return "\n".join(lines) + "\n"


def _scores(scores: Sequence[dict[str, Any]]) -> list[str]:
    """Return the headline metrics of every model: value, interval, difference to the base, best floor."""
    rows, notes = [], []
    for told in scores:
        for name, benchmark in told["benchmarks"].items():
            model = f"iter_{told['round']}"
            if benchmark["error"]:
                notes.append(f"  {model} {name}: {benchmark['error']}")
            elif not benchmark["counts"]:
                notes.append(f"  {model} {name} does not count: the judge {benchmark['objections'][0]}")
            else:
                metrics, floors = benchmark["metrics"], benchmark["floors"]
                rows += [[model, *_metric(name, key, metrics[key], floors)] for key in benchmark["headline"]]
    lines = ["Scores (95 % intervals; the floor is the best that an answer without skill gets)", ""]
    lines += _table(("model", "benchmark", "metric", "value", "95 %", "n", "floor", "minus base", "95 %"), rows)
    return [*lines, *([""] if notes else []), *notes]


def _metric(name: str, key: str, metric: dict[str, Any], floors: dict[str, Any]) -> list[str]:
    values = [floor[key]["value"] for floor in floors.values() if floor.get(key, {}).get("value") is not None]
    best = (min if metric["better"] == "lower" else max)(values, default=None)
    difference = metric.get("minus_base") or {"value": None, "low": None, "high": None}
    return [
        *(name, key.removeprefix(f"{name}_"), _number(metric["value"]), _range(metric), f"{metric['n']:,}"),
        *(_number(best), _number(difference["value"], "+"), _range(difference, "+")),
    ]


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.3f}"


def _range(metric: dict[str, Any], sign: str = "") -> str:
    if metric["low"] is None:
        return "-"
    return f"{_number(metric['low'], sign)} to {_number(metric['high'], sign)}"


def _at(funnels: Sequence[dict[str, Any]], stage: str, i: int) -> dict[str, Any]:
    return next(funnel for funnel in funnels if funnel["stage"] == stage and funnel["round"] == i)


def _training(report: dict[str, Any]) -> list[str]:
    heldout = report["heldout"] or {"before": None, "after": None}
    numbers = [f"{report['rows']:,}", f"{report['steps']:,}", f"{report['heldout_rows']:,}"]
    return [*numbers, *("-" if heldout[when] is None else f"{heldout[when]:.3f}" for when in ("before", "after"))]


def _share(report: dict[str, Any]) -> str:
    return f"{report['stopped_by_itself']} of {report['probes']}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return an aligned table: the first columns to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    numeric = [all(row[column].lstrip("+-")[:1].isdigit() or row[column] == "-" for row in rows)
               for column in range(len(head))]  # fmt: skip
    return [
        "  " + "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in [head, *rows]
    ]  # fmt: skip
