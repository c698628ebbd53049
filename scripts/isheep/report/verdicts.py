"""What a metric says in words: its value with interval, whether it is clearly off its floor, what changed."""

from __future__ import annotations

from dataclasses import dataclass

from isheep.data.metrics import best_floor, is_past, ordered
from isheep.data.numbers import shown, span
from isheep.documents.models import BenchmarkScores, Difference, MetricScore


@dataclass(frozen=True)
class Verdict:
    """One sentence about a metric of the last model; `tone` is good, bad or plain."""

    benchmark: str
    metric: str
    text: str
    tone: str


def title(benchmark: str, metric: str) -> str:
    """Return a metric's name for a heading, without the benchmark's when it begins with it."""
    return metric.removeprefix(f"{benchmark}_").replace("_", " ")


def unit_of(unit: str) -> str:
    """Return a unit for an axis: shares are shown in percent."""
    return "%" if unit == "share" else unit


def leading(entry: BenchmarkScores) -> str | None:
    """Return the metric that stands for a benchmark: the first in order that has a value and a better side."""
    metrics, names = entry["metrics"], ordered(entry)
    judged = (name for name in names if metrics[name]["better"] and metrics[name]["value"] is not None)
    return next(judged, next(iter(names), None))


def change(difference: Difference | None, better: str) -> str:
    """Return better, worse, higher, lower, none (the interval holds zero) or unknown."""
    if difference is None:
        return "unknown"
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


def judge(benchmark: str, entry: BenchmarkScores, model: str) -> Verdict:
    """Return the sentence about the metric that stands for a benchmark.

    Parameters
    ----------
    benchmark, entry
        Its name; its entry in scores.json.
    model
        Which model it is about, like `iter_2`.
    """
    if entry["error"]:
        return Verdict(benchmark, "", f"not measured: {entry['error']}", "bad")
    metric = leading(entry)
    if metric is None or entry["metrics"][metric]["value"] is None:
        return Verdict(benchmark, "", "no value", "plain")
    row = entry["metrics"][metric]
    name, unit = title(benchmark, metric), row["unit"]
    size = f"{shown(row['value'], unit)}{'' if unit in ('share', '') else f' {unit}'}"
    if unit[:1].isdigit():
        size = f"{shown(row['value'])} (scale {unit})"
    if not entry["counts"]:
        why = "; ".join(entry["objections"] or ["its judge did not pass calibration"])
        return Verdict(benchmark, name, f"does not count: {why}. ({model} would have {size}.)", "bad")
    interval = span(row, unit)
    text = f"{model} has {size} ({f'95 % {interval}, ' if interval else 'no interval, '}n = {row['n']:,})"
    tone = "plain"
    if floor := best_floor(metric, row, entry["floors"]):
        side = "above" if row["better"] == "higher" else "below"
        past = is_past(row, row["better"], floor.value)
        clearly = {True: f"clearly {side}", False: f"not clearly {side}", None: "beside"}[past]
        text += f", {clearly} its floor of {shown(floor.value, unit)} (the answer \N{LEFT DOUBLE QUOTATION MARK}"
        text += f"{floor.name}\N{RIGHT DOUBLE QUOTATION MARK})"
        tone = "bad" if past is False else tone
    if "minus_base" in row:
        text, tone = _against_base(row["minus_base"], row, text, tone)
    return Verdict(benchmark, name, text + ".", tone)


def _against_base(difference: Difference | None, row: MetricScore, text: str, tone: str) -> tuple[str, str]:
    if difference is None:
        return f"{text}; its difference to the base has no interval", tone
    kind, unit = change(difference, row["better"]), row["unit"]
    figures = f"{shown(difference['value'], unit, True)}, 95 % {span(difference, unit, True)}, n = {difference['n']:,}"
    words = {"none": "no clear change from the base"}.get(kind, f"clearly {kind} than the base")
    if tone != "bad":
        tone = {"better": "good", "worse": "bad"}.get(kind, tone)
    return f"{text}; {words} ({figures})", tone
