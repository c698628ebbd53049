"""What a metric says in words: its value with interval, whether it is clearly off its floor, what changed.

"Clearly" is said of at least `FEW` items, and of two models that were shown the same format.
"""

from __future__ import annotations

from dataclasses import dataclass

from isheep.data.metrics import best_floor, is_past, ordered
from isheep.data.numbers import shown, span
from isheep.documents.models import BenchmarkScores, Difference, MetricScore
from isheep.documents.records import Settings

FEW = 20
"""Under so many items nothing is called clear."""
HARNESS = "harness"
"""The kind of lm-eval's tasks."""


@dataclass(frozen=True)
class Verdict:
    """One sentence about a metric of a model; `tone` is good, bad or plain, `word` says the same without colour."""

    benchmark: str
    metric: str
    text: str
    tone: str
    word: str = ""


def title(benchmark: str, metric: str) -> str:
    """Return a metric's name for a heading, without the benchmark's when it begins with it."""
    return metric.removeprefix(f"{benchmark.rpartition('/')[2]}_").replace("_", " ")


def unit_of(unit: str) -> str:
    """Return a unit for an axis: shares are shown in percent."""
    return "%" if unit == "share" else unit


def leading(entry: BenchmarkScores) -> str | None:
    """Return the metric that stands for a benchmark: the first in order that has a value and a better side."""
    metrics, names = entry["metrics"], ordered(entry)
    judged = (name for name in names if metrics[name]["better"] and metrics[name]["value"] is not None)
    return next(judged, next(iter(names), None))


def change(difference: Difference | None, better: str) -> str:
    """Return better, worse, higher, lower, none (the interval holds zero), few (of items) or unknown."""
    if difference is None:
        return "unknown"
    if difference["n"] < FEW:
        return "few"
    if difference["low"] <= 0 <= difference["high"]:
        return "none"
    rose = difference["low"] > 0
    if not better:
        return "higher" if rose else "lower"
    return "better" if rose == (better == "higher") else "worse"


def colour(difference: Difference | None, better: str, counts: bool) -> str:
    """Return "better" or "worse" where a difference is clear and its scores count; else nothing."""
    kind = change(difference, better)
    return kind if counts and kind in ("better", "worse") else ""


def formats_differ(settings: Settings, benchmark: str, kind: str) -> bool:
    """Return whether a benchmark shows the base another format than its children.

    A base that knows no chat template is asked in the plain format, what it trains through the template, unless the
    benchmark's `format` says otherwise. lm-eval asks all of them alike.
    """
    asked = (settings["evaluation"]["benchmarks"].get(benchmark) or {}).get("format", "own")
    return not settings["model"]["chat"] and kind != HARNESS and asked == "own"


def judge(benchmark: str, entry: BenchmarkScores, model: str, mixed: bool = False) -> Verdict:
    """Return the sentence about the metric that stands for a benchmark.

    Parameters
    ----------
    benchmark, entry
        Its name; its entry in scores.json.
    model
        Which model it is about, like `iter_2`.
    mixed
        The base was asked in another format than this model.
    """
    metric = leading(entry)
    if entry["error"]:
        return Verdict(benchmark, "", f"not measured: {entry['error']}", "bad", "not measured")
    if metric is None or entry["metrics"][metric]["value"] is None:
        return Verdict(benchmark, "", "no value", "plain", "no value")
    row = entry["metrics"][metric]
    name, size = title(benchmark, metric), sized(row)
    if not entry["counts"]:
        why = "; ".join(entry["objections"] or ["its judge did not pass calibration"])
        text = f"does not count: {why}. ({model} would have {size}.)"
        return Verdict(benchmark, name, text, "bad", "does not count")
    interval = span(row, row["unit"])
    text = f"{model} has {size} ({f'95 % {interval}, ' if interval else 'no interval, '}n = {row['n']:,})"
    against, tone = _against_floor(metric, row, entry)
    text += against
    word = "not clear of its floor" if tone == "bad" else ""
    if "minus_base" in row:
        told, kind = _against_base(row["minus_base"], row, model, mixed)
        text += told
        if tone != "bad":
            tone, word = {"better": ("good", "better"), "worse": ("bad", "worse")}.get(kind, (tone, "no clear change"))
    return Verdict(benchmark, name, text + ".", tone, word)


def sized(row: MetricScore) -> str:
    """Return a value with its unit."""
    unit = row["unit"]
    if unit[:1].isdigit():
        return f"{shown(row['value'])} (scale {unit})"
    return f"{shown(row['value'], unit)}{'' if unit in ('share', '') else f' {unit}'}"


def _against_floor(metric: str, row: MetricScore, entry: BenchmarkScores) -> tuple[str, str]:
    """Return how a value lies to the best that an answer without skill gets, whichever side is better; and the tone."""
    floor = best_floor(metric, row, entry["floors"])
    if floor is None:
        return "", "plain"
    past = is_past(row, row["better"], floor.value) if row["n"] >= FEW else None
    words = {True: "clearly better than", False: "not clearly better than", None: "beside"}[past]
    text = f", {words} its floor of {shown(floor.value, row['unit'])} (the answer \N{LEFT DOUBLE QUOTATION MARK}"
    return f"{text}{floor.name}\N{RIGHT DOUBLE QUOTATION MARK})", "bad" if past is False else "plain"


def _against_base(difference: Difference | None, row: MetricScore, model: str, mixed: bool) -> tuple[str, str]:
    """Return how a value lies to the base's, and what change that is."""
    if difference is None:
        return "; its difference to the base has no interval", "unknown"
    kind, unit = change(difference, row["better"]), row["unit"]
    figures = f"{shown(difference['value'], unit, True)}, 95 % {span(difference, unit, True)}, n = {difference['n']:,}"
    if kind == "few":
        return f"; too few items to tell a change from the base ({figures})", kind
    if kind == "none":
        return f"; no clear change from the base ({figures})", kind
    if mixed:
        text = f"; {kind} than the base ({figures}), but the base was asked in the plain format and {model} through"
        return f"{text} the chat template: that alone may be the change", "mixed"
    return f"; clearly {kind} than the base ({figures})", kind
