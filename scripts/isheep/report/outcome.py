"""The answer on top: did it get better, which round to take, by how much; and every model's headline metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from isheep.data.metrics import best_floor, headline, is_past
from isheep.data.numbers import shown, span
from isheep.documents.models import BenchmarkScores, MetricScore, ModelScores
from isheep.documents.records import Settings
from isheep.report.verdicts import change, formats_differ, leading, sized, title

MARKS = {"better": "\N{BLACK UP-POINTING TRIANGLE}", "worse": "\N{BLACK DOWN-POINTING TRIANGLE}"}
FOR_CERTAIN = {True: "", False: "clearly "}


@dataclass(frozen=True)
class Step:
    """What the metric that stands for a benchmark says of a model against the base."""

    benchmark: str
    row: MetricScore
    metric: str
    change: str
    base: MetricScore | None
    mixed: bool

    @property
    def lengths(self) -> float:
        """The difference to the better side, in half widths of its interval."""
        difference = self.row.get("minus_base")
        if not difference or not self.row["better"]:
            return 0.0
        half = (difference["high"] - difference["low"]) / 2
        return (difference["value"] if self.row["better"] == "higher" else -difference["value"]) / (half or 1.0)


@dataclass(frozen=True)
class Cell:
    """A metric of one model: its value, the change from the base in figures, in a word and as a mark."""

    value: str
    change: str = ""
    interval: str = ""
    word: str = ""
    mark: str = ""
    counts: bool = True


@dataclass(frozen=True)
class Outcome:
    """What a reader wants to know first.

    Parameters
    ----------
    answer
        Yes, In part, No, Not clear or Not known.
    text
        Which model to take, and why.
    take
        That model, like `iter_2`; None where nothing speaks for one.
    about
        The model that the text is about: that one, or the best that there is.
    columns
        Benchmark, metric and better side of each headline metric.
    rows
        By model: a cell for each column, None where it was not measured.
    """

    answer: str
    text: str
    take: str | None
    about: str | None
    columns: list[tuple[str, str, str]]
    rows: list[tuple[str, list[Cell | None]]]


def outcome(settings: Settings, scores: Sequence[ModelScores]) -> Outcome:
    """Return the answer of a run.

    The model to take is the one with the most benchmarks clearly better than the base, those clearly worse taken off;
    of several, the one that is furthest from the base, in half widths of the intervals.

    Parameters
    ----------
    settings
        Of the run: they tell whether the base was shown another format.
    scores
        Of the base and every model that was measured, in order.
    """
    base = next((scored for scored in scores if scored["round"] == 0), None)
    steps = {s["round"]: list(_steps(settings, s, base)) for s in scores if s["round"]}
    compared = {i: told for i, told in steps.items() if any(step.change != "unknown" for step in told)}
    columns = _columns(scores)
    rows = [(f"iter_{scored['round']}", _cells(settings, scored, columns)) for scored in scores]
    named = [(benchmark, title(benchmark, metric), better) for benchmark, metric, better in columns]
    if not compared:
        why = "no model after the base was measured" if not steps else "no benchmark compares a model with the base"
        return Outcome("Not known", f"Whether it got better is not known: {why}.", None, None, named, rows)
    best = max(compared, key=lambda i: (_net(compared[i]), sum(step.lengths for step in compared[i])))
    answer, text, take = _said(compared, best, max(steps))
    return Outcome(answer, text, take, f"iter_{best}", named, rows)


def _steps(settings: Settings, scored: ModelScores, base: ModelScores | None) -> Iterator[Step]:
    for name, entry in scored["benchmarks"].items():
        metric = leading(entry)
        if metric is None or entry["error"] or not entry["counts"] or entry["metrics"][metric]["value"] is None:
            continue
        row = entry["metrics"][metric]
        there = base["benchmarks"].get(name) if base else None
        of_base = there["metrics"].get(metric) if there else None
        mixed = formats_differ(settings, name, entry["kind"])
        yield Step(name, row, metric, _change(entry, metric), of_base, mixed)


def _change(entry: BenchmarkScores, metric: str) -> str:
    """Return the change from the base; `floor` where it is one to the better that an answer without skill gets, too."""
    row = entry["metrics"][metric]
    kind, floor = change(row.get("minus_base"), row["better"]), best_floor(metric, row, entry["floors"])
    return "floor" if kind == "better" and floor and is_past(row, row["better"], floor.value) is False else kind


def _net(steps: Sequence[Step]) -> int:
    return sum({"better": 1, "worse": -1}.get(step.change, 0) for step in steps)


def _said(compared: dict[int, list[Step]], best: int, last: int) -> tuple[str, str, str | None]:
    """Return the answer, the sentences about the best model, and whether to take it."""
    steps, model = compared[best], f"iter_{best}"
    better = [step for step in steps if step.change == "better"]
    worse = [step for step in steps if step.change == "worse"]
    mixed = any(step.mixed for step in [*better, *worse])
    clearly = FOR_CERTAIN[mixed]
    of = f"of {len(steps)} benchmark{'s' if len(steps) != 1 else ''}"
    if not better and not worse:
        few = all(step.change in ("few", "unknown") for step in steps)
        why = f"no model differs clearly from the base, and from answers without skill, in any {of}"
        why = "too few items were asked" if few else why
        return "Not clear", f"Nothing speaks for another model than the base: {why}.", None
    if not better:
        count = f"{clearly}worse than the base in {len(worse)} {of}: {_moves(worse)}"
        return "No", f"Keep the base: even the best round, {model}, is {count}. It is {clearly}better in none.", None
    text = f"Take {model}: it is {clearly}better than the base in {len(better)} {of}: {_moves(better)}."
    text += f" It is {clearly}worse in {len(worse)}: {_moves(worse)}." if worse else f" It is {clearly}worse in none."
    if best != last and last in compared:
        text += f" The last round, iter_{last}, is not better than it."
    if mixed:
        text += " But the base was asked in the plain format and its children through the chat template: how much of"
        return "Not clear", f"{text} this is the format's is not known.", model
    return ("In part" if worse else "Yes"), text, model


def _moves(steps: Sequence[Step]) -> str:
    """Return the values of some benchmarks, the base's first."""
    moves = []
    for step in steps:
        there = f" from {sized(step.base)}" if step.base and step.base["value"] is not None else ""
        metric = title(step.benchmark, step.metric)
        moves.append(f"{step.benchmark} ({metric}){there} to {sized(step.row)}")
    return "; ".join(moves)


def _columns(scores: Sequence[ModelScores]) -> list[tuple[str, str, str]]:
    """Return every headline metric that a model has: benchmark, metric, better side."""
    columns: dict[tuple[str, str], str] = {}
    for scored in scores:
        for name, entry in scored["benchmarks"].items():
            columns |= {(name, metric): entry["metrics"][metric]["better"] for metric in headline(entry)}
    return [(benchmark, metric, better) for (benchmark, metric), better in columns.items()]


def _cells(settings: Settings, scored: ModelScores, columns: Sequence[tuple[str, str, str]]) -> list[Cell | None]:
    return [_cell(settings, benchmark, scored["benchmarks"].get(benchmark), metric) for benchmark, metric, _ in columns]


def _cell(settings: Settings, benchmark: str, entry: BenchmarkScores | None, metric: str) -> Cell | None:
    row = entry["metrics"].get(metric) if entry else None
    if entry is None or row is None:
        return None
    difference = row.get("minus_base")
    if difference is None:
        return Cell(sized(row), counts=entry["counts"])
    kind, unit = _change(entry, metric), row["unit"]
    figures = (shown(difference["value"], unit, True), span(difference, unit, True))
    if not entry["counts"]:
        return Cell(sized(row), *figures, "does not count", counts=False)
    word = {"few": "too few items", "none": "no clear change", "floor": "better, not past its floor"}.get(kind, kind)
    if formats_differ(settings, benchmark, entry["kind"]) and kind in ("better", "worse"):
        return Cell(sized(row), *figures, f"{word}, other format")
    return Cell(sized(row), *figures, word, MARKS.get(kind, ""))
