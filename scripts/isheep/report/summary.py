"""The end of a run in one screen: the funnel of every round, what assessors could tell, what training did."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from isheep.data.numbers import fixed, interval
from isheep.documents.models import MergeReport, ModelScores, TrainingReport
from isheep.documents.records import Settings
from isheep.documents.rounds import Discrimination, Health, StageFunnel
from isheep.documents.tables import (
    alarms_table,
    discrimination_table,
    funnel_table,
    loss_unit,
    preferences_table,
    rejections_table,
    rows_of,
    scores_table,
    training_table,
)
from isheep.report.outcome import outcome
from isheep.report.verdicts import title
from isheep.stages.table import table as stage_table

if TYPE_CHECKING:
    import pandas as pd

Cells = list[list[str]]
INDENT: dict[str, Any] = {"initial_indent": "  ", "subsequent_indent": "    ", "break_long_words": False}
LOSSES = {"nats a token": "nats a token of the answers", "nats a pair": "nats a pair"}
PREFERENCES = (
    *("model", "pairs", "margin after", "accuracy after"),
    *("chosen before", "after", "rejected before", "after"),
)


def write_summary(
    run: str,
    funnels: Sequence[StageFunnel],
    discriminations: Sequence[Discrimination],
    trainings: Sequence[TrainingReport],
    mergings: Sequence[MergeReport],
    models: Sequence[str],
    scores: Sequence[ModelScores] = (),
    healths: Sequence[Health] = (),
    settings: Settings | None = None,
) -> str:
    """Return the summary of a run as text.

    Parameters
    ----------
    run
        Its name.
    funnels
        Records of every stage and round.
    discriminations, trainings, mergings
        Reports of every round, in order; those of assessors and of what compares pairs are one.
    models
        Paths of the merged models iter_1, iter_2, ...
    scores
        Scores of the base and of every model, in order; none when nothing was measured.
    healths
        Of every round's data: alarms that rang stand on top.
    settings
        Of the run; without them the answer to whether it got better is left out.
    """
    checks = discrimination_table(dict(enumerate(discriminations)))
    trained = training_table(dict(enumerate(trainings, start=1)), dict(enumerate(mergings, start=1)))
    ran = {funnel["stage"] for funnel in funnels}
    words = [word for name, word in stage_table().words.items() if name in ran]
    parts = [
        ("Rows kept by each stage", _columns(("round", *words), _kept(funnel_table(funnels)))),
        (
            "Rows rejected, by rule",
            _columns(("round", "stage", "rule", "rows"), _rejected(rejections_table(funnels)), "none"),
        ),
        (
            "Can the assessors tell an answer to its prompt from an answer to another? (AUC, 0.5 is chance)",
            _columns(("round", "assessor", "AUC", "95 %", "n"), _checks(checks), "not measured"),
        ),
        (
            f"Training (loss in {LOSSES[loss_unit(trainings)]})",
            _columns(("model", "rows", "steps", "held-out rows", "held-out loss before", "after"), _training(trained)),
        ),
    ]
    if preferred := _preferences(preferences_table(dict(enumerate(trainings, start=1)))):
        heading = "Held-out pairs (log-likelihoods in nats an answer; before training no pair is preferred)"
        parts.append((heading, _columns(PREFERENCES, preferred)))
    if scores:
        heading = "Scores (95 % intervals; the floor is the best that an answer without skill gets)"
        parts.append((heading, _scores(scores)))
    stops = [
        f"{told['stopped_by_itself']} of {told['probes']} of probe answers stop by themselves" for told in mergings
    ]
    parts.append(("Merged models", [f"  {model}   {stop}" for model, stop in zip(models, stops, strict=True)]))
    parts = [*_on_top(healths, scores, settings), *parts]
    told = [line for heading, lines in parts for line in ("", heading, "", *lines)]
    return "\n".join([f"Run {run}", *told]) + "\n"


def _on_top(
    healths: Sequence[Health], scores: Sequence[ModelScores], settings: Settings | None
) -> Iterator[tuple[str, list[str]]]:
    """Yield what is read first: whether it got better, and alarms of the data's health."""
    if settings is not None:
        answer = outcome(settings, scores)
        yield "Did it get better?", textwrap.wrap(f"{answer.answer}. {answer.text}", 110, **INDENT)
    if rang := rows_of(alarms_table(healths)):
        lines = (f"d_{row['round']} {row['alarm']} ({row['level']}): {row['message']}" for row in rang)
        yield f"Alarms: {len(rang)}", [part for line in lines for part in textwrap.wrap(line, 110, **INDENT)]
    elif healths:
        yield "Alarms: none", [f"  {sum(health['checked'] for health in healths)} checks of the data's health"]


def _kept(funnel: pd.DataFrame) -> Cells:
    rounds = funnel.pivot(index="round", columns="stage", values="rows_out")
    rounds = rounds.reindex(columns=[name for name in stage_table().words if name in rounds])
    return [[f"d_{i}", *map(_whole, kept)] for i, kept in zip(rounds.index, rounds.to_numpy().tolist(), strict=True)]


def _rejected(rejections: pd.DataFrame) -> Cells:
    return [[f"d_{row['round']}", row["stage"], row["rule"], _whole(row["rows"])] for row in rows_of(rejections)]


def _checks(checks: pd.DataFrame) -> Cells:
    def two(value: float | None) -> str:
        return fixed(value, digits=2)

    return [
        [f"d_{row['round']}", row["assessor"], two(row["auc"]), interval(row, two, joint="-"), str(row["n"])]
        for row in rows_of(checks)
        if row["auc"] is not None
    ]


def _training(trained: pd.DataFrame) -> Cells:
    return [
        [
            row["model"],
            *(_whole(row[name]) for name in ("rows", "steps", "heldout_rows")),
            *(fixed(row[name]) for name in ("before", "after")),
        ]
        for row in rows_of(trained)
    ]


def _preferences(preferred: pd.DataFrame) -> Cells:
    shown = ("margin_after", "accuracy_after", "chosen_before", "chosen_after", "rejected_before", "rejected_after")
    return [[row["model"], _whole(row["pairs"]), *(fixed(row[name]) for name in shown)] for row in rows_of(preferred)]


def _scores(scores: Sequence[ModelScores]) -> list[str]:
    """Return the headline metrics of every model: value, interval, difference to the base, best floor."""
    frame = scores_table(scores)
    measured = frame[frame["headline"].astype(bool) & frame["counts"].astype(bool) & frame["error"].isna()]
    head = ("model", "benchmark", "metric", "value", "95 %", "n", "floor", "minus base", "95 %")
    notes = list(_notes(scores))
    return [*_columns(head, [_metric(row) for row in rows_of(measured)]), *([""] if notes else []), *notes]


def _metric(row: dict[str, Any]) -> list[str]:
    def signed(value: float | None) -> str:
        return fixed(value, "+")

    base = {"low": row["minus_base_low"], "high": row["minus_base_high"]}
    return [
        *(row["model"], row["benchmark"], title(row["benchmark"], row["metric"]).replace(" ", "_")),
        *(fixed(row["value"]), interval(row, fixed), _whole(row["n"])),
        *(fixed(row["floor_value"]), signed(row["minus_base"]), interval(base, signed)),
    ]


def _notes(scores: Sequence[ModelScores]) -> Iterator[str]:
    for scored in scores:
        for name, entry in scored["benchmarks"].items():
            if entry["error"]:
                yield f"  iter_{scored['round']} {name}: {entry['error']}"
            elif not entry["counts"]:
                yield f"  iter_{scored['round']} {name} does not count: the judge {entry['objections'][0]}"


def _whole(value: float) -> str:
    return "-" if value != value else f"{int(value):,}"


def _columns(head: Sequence[str], rows: Cells, without: str = "") -> list[str]:
    """Return an aligned table: the first columns to the left, numbers to the right; `without` where it has no rows."""
    if not rows and without:
        return [without]
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
