"""Every table of a run as a pandas frame: made here from typed documents, shown by summary, cards, page and CSV alike.

A frame without rows still has its columns. `rows_of` gives a frame's rows to templates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isheep.data.files import publish
from isheep.data.metrics import best_floor, headline, ordered
from isheep.stages.table import table as stage_table

if TYPE_CHECKING:
    import pandas as pd

    from isheep.documents.models import BenchmarkScores, Difference, MergeReport, ModelScores, TrainingReport
    from isheep.documents.rounds import Discrimination, Health, StageFunnel
    from isheep.documents.stages import Stage

Leaf = dict[str, Any]
"""A number in health.json with what is told of it: value, and where known n, unit, better."""
# Not measures of the data; and what a number tells of itself.
APART = frozenset({"round", "sample", "alarms", "checked"})
DETAILS = frozenset({"value", "n", "unit", "better", "low", "high"})


def funnel_table(funnels: Iterable[StageFunnel]) -> pd.DataFrame:
    """Return rows in and out of every stage: round, stage, keeps (its word in tables), rows_in, rows_out."""
    rows = [
        (funnel["round"], funnel["stage"], stage_table().words[funnel["stage"]], funnel["rows_in"], funnel["rows_out"])
        for funnel in _in_order(funnels)
    ]
    return _frame(rows, ("round", "stage", "keeps", "rows_in", "rows_out"))


def rejections_table(funnels: Iterable[StageFunnel]) -> pd.DataFrame:
    """Return why rows went: round, stage, rule, rows; by round and stage, the commonest rule first."""
    rows = [
        (funnel["round"], funnel["stage"], rule, count)
        for funnel in _in_order(funnels)
        for rule, count in funnel["rejected"].items()
    ]
    return _frame(rows, ("round", "stage", "rule", "rows"))


def _in_order(funnels: Iterable[StageFunnel]) -> list[StageFunnel]:
    order = list(stage_table().words)
    return sorted(funnels, key=lambda funnel: (funnel["round"], order.index(funnel["stage"])))


def discrimination_table(discriminations: Mapping[int, Discrimination]) -> pd.DataFrame:
    """Return what assessors could tell, by round: round, assessor, auc, low, high (0-1), n, verdict."""
    rows = [
        (i, name, check["auc"], check["low"], check["high"], check["n"], check["verdict"])
        for i, checks in discriminations.items()
        for name, check in checks.items()
    ]
    columns = ("round", "assessor", "auc", "low", "high", "n", "verdict")
    return _frame(rows, columns, floats=("auc", "low", "high"))


def training_table(trainings: Mapping[int, TrainingReport], mergings: Mapping[int, MergeReport]) -> pd.DataFrame:
    """Return how each model was trained and merged.

    Parameters
    ----------
    trainings, mergings
        Reports by i of iter_i; a model without a training is left out, one without a merge has no probes.

    Returns
    -------
    DataFrame
        round, model, rows, heldout_rows, cut_rows, steps, tokens, before and after (held-out loss, nats a token of the
        answers), probes, stopped (probe answers that stop by themselves).
    """
    rows = []
    for i, report in trainings.items():
        heldout, merging = report["heldout"], mergings.get(i)
        counts = (report[key] for key in ("rows", "heldout_rows", "cut_rows", "steps", "tokens"))
        losses = (heldout["before"], heldout["after"]) if heldout else (None, None)
        probes = (merging["probes"], merging["stopped_by_itself"]) if merging else (None, None)
        rows.append((i, f"iter_{i}", *counts, *losses, *probes))
    columns = ("round", "model", "rows", "heldout_rows", "cut_rows", "steps", "tokens", "before", "after", "probes",
               "stopped")  # fmt: skip
    return _frame(rows, columns, floats=("before", "after"), counts=("probes", "stopped"))


def loss_table(trainings: Mapping[int, TrainingReport]) -> pd.DataFrame:
    """Return the training loss by step: round, model, step, loss (nats a token of the answers)."""
    rows = [(i, f"iter_{i}", at["step"], at["loss"]) for i, report in trainings.items() for at in report["loss"]]
    return _frame(rows, ("round", "model", "step", "loss"), floats=("loss",))


PAIR_FIGURES = ("margin", "accuracy", "chosen", "rejected")


def preferences_table(trainings: Mapping[int, TrainingReport]) -> pd.DataFrame:
    """Return what held-out pairs say before and after each training on pairs.

    Returns
    -------
    DataFrame
        round, model, pairs; margin (of the loss, nats), accuracy (share of pairs with a positive margin), chosen and
        rejected (mean log-likelihood of an answer, nats), each with _before and _after.
    """
    rows = []
    for i, report in trainings.items():
        if told := report.get("preferences"):
            figures = [told[when][name] for name in PAIR_FIGURES for when in ("before", "after")]  # type: ignore[literal-required]
            rows.append((i, f"iter_{i}", told["pairs"], *figures))
    names = [f"{name}_{when}" for name in PAIR_FIGURES for when in ("before", "after")]
    return _frame(rows, ("round", "model", "pairs", *names), floats=names)


def loss_unit(trainings: Iterable[TrainingReport]) -> str:
    """Return what losses are counted in: nats a token of the answers, or nats a pair where pairs train."""
    return "nats a pair" if any("preferences" in report for report in trainings) else "nats a token"


DIFFERENCES = ("minus_base", "minus_previous")
SCORES = (
    *("round", "model", "benchmark", "kind", "metric", "headline", "counts", "error", "unit", "better"),
    *("n", "value", "low", "high", "floor", "floor_value"),
    *(f"{name}{part}" for name in DIFFERENCES for part in ("", "_low", "_high", "_n")),
)


def scores_table(scores: Iterable[ModelScores]) -> pd.DataFrame:
    """Return one row for each model, benchmark and metric, the metrics that a benchmark calls its headline first.

    Returns
    -------
    DataFrame
        round, model (iter_i), benchmark, kind; metric, headline (whether a summary shows it), counts (False where the
        judge failed its calibration), error (what part of the benchmark could not be measured), unit, better (higher,
        lower or empty); n, value, low, high (95 %); floor and floor_value: the best that an answer without skill gets;
        minus_base and minus_previous with _low, _high, _n: paired differences.
    """
    rows = [
        row
        for document in scores
        for benchmark, entry in document["benchmarks"].items()
        for row in _benchmark_rows(document["round"], benchmark, entry)
    ]
    numbers = [name for name in SCORES if name.startswith(("value", "low", "high", "floor_value", "minus"))]
    counts = [name for name in numbers if name.endswith("_n")]
    return _frame(rows, SCORES, floats=[name for name in numbers if name not in counts], counts=counts)


def _benchmark_rows(i: int, benchmark: str, entry: BenchmarkScores) -> Iterator[tuple[Any, ...]]:
    shown = headline(entry)
    for metric in ordered(entry):
        row = entry["metrics"][metric]
        floor = best_floor(metric, row, entry["floors"])
        yield (
            *(i, f"iter_{i}", benchmark, entry["kind"], metric, metric in shown, entry["counts"], entry["error"]),
            *(row["unit"], row["better"], row["n"], row["value"], row["low"], row["high"]),
            *((floor.name, floor.value) if floor else (None, None)),
            *_difference(row.get("minus_base")),
            *_difference(row.get("minus_previous")),
        )


def _difference(difference: Difference | None) -> tuple[float | None, ...]:
    if difference is None:
        return None, None, None, None
    return difference["value"], difference["low"], difference["high"], difference["n"]


def costs_table(stages: Iterable[Stage]) -> pd.DataFrame:
    """Return what every stage of every round cost, in the order of the graph.

    Returns
    -------
    DataFrame
        round, stage, does (in two words), run (which made it), tokens, seconds (summed over its shards), gpu_hours,
        started (UTC), hardware.
    """
    rows = [
        (
            *(stage.round, stage.name, stage_table().does(stage.name), stage.owner, sum(stage.tokens.values())),
            *(stage.seconds, stage.gpu_hours, stage.started, stage.hardware),
        )
        for stage in stages
    ]
    columns = ("round", "stage", "does", "run", "tokens", "seconds", "gpu_hours", "started", "hardware")
    return _frame(rows, columns, floats=("seconds", "gpu_hours"))


def alarms_table(health: Iterable[Health]) -> pd.DataFrame:
    """Return every alarm that rang: round, alarm, level, value, threshold, message; those that stop a run first."""
    rang = [
        (document["round"], alarm["name"], alarm["level"], alarm["value"], alarm["threshold"], alarm["message"])
        for document in health
        for alarm in document["alarms"]
    ]
    rang.sort(key=lambda alarm: (alarm[2] != "stop", alarm[0]))
    columns = ("round", "alarm", "level", "value", "threshold", "message")
    return _frame(rang, columns, floats=("value", "threshold"))


def health_table(health: Iterable[Health]) -> pd.DataFrame:
    """Return every measure of the data: round, measure (lengths/output/words/p50), value, n, unit, better."""
    rows = [
        (document["round"], "/".join(path), leaf["value"], leaf.get("n"), leaf.get("unit", ""), leaf.get("better", ""))
        for document in health
        for path, leaf in leaves(document)
    ]
    return _frame(rows, ("round", "measure", "value", "n", "unit", "better"), floats=("value",), counts=("n",))


def leaves(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """Yield every number in health.json with its path, whatever groups it stands in."""
    for key, child in value.items():
        if not path and key in APART:
            continue
        here = (*path, str(key))
        if isinstance(child, dict) and "value" in child:
            yield here, child
            yield from leaves({name: more for name, more in child.items() if name not in DETAILS}, here)
        elif isinstance(child, dict):
            yield from leaves(child, here)
        elif isinstance(child, int | float) and not isinstance(child, bool) and key != "n":
            yield here, {"value": child, "n": value.get("n"), "unit": value.get("unit", _unit(here))}


def _unit(path: tuple[str, ...]) -> str:
    return "share" if path[-1].startswith("share") else next((word for word in ("words", "tokens") if word in path), "")


def write_frames(frames: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write frames as `NAME.csv` into a folder, each whole or not at all; numbers have all their digits."""
    files = []
    for name, frame in frames.items():
        files.append(folder / f"{name}.csv")
        with publish(files[-1]) as temporary:
            frame.to_csv(temporary, index=False, lineterminator="\n")
    return files


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame by column, None where there is nothing."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def _frame(
    rows: Sequence[tuple[Any, ...]], columns: Sequence[str], floats: Sequence[str] = (), counts: Sequence[str] = ()
) -> pd.DataFrame:
    """Return a frame whose numbers are numbers even where all are None: floats as NaN, counts as NA."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.astype(dict.fromkeys(floats, "float64") | dict.fromkeys(counts, "Int64"))
