"""What a metric says in words: its value with interval, whether it is clearly off its floor, what changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Verdict:
    """One sentence about a metric of the last model; `tone` is good, bad or plain."""

    benchmark: str
    metric: str
    text: str
    tone: str


def show(value: float | None, unit: str = "", signed: bool = False) -> str:
    """Return a number as people read it: a share in percent, all else in four digits; a dash for none."""
    if value is None:
        return "\N{EN DASH}"
    sign = ("+" if value > 0 else MINUS if value < 0 else "\N{PLUS-MINUS SIGN}") if signed else MINUS * (value < 0)
    size = abs(value)
    if unit == "share":
        return f"{sign}{100 * size:.1f}{' points' if signed else ' %'}"
    return f"{sign}{size:,.0f}" if size >= 1000 or size == int(size) else f"{sign}{size:.4g}"


def span(row: Row, unit: str = "", signed: bool = False) -> str:
    """Return the 95 % interval of a value as text; empty when there is none."""
    if row.get("low") is None or row.get("high") is None:
        return ""
    return f"{show(row['low'], unit, signed)} to {show(row['high'], unit, signed)}"


def title(benchmark: str, metric: str) -> str:
    """Return a metric's name for a heading, without the benchmark's when it begins with it."""
    return metric.removeprefix(f"{benchmark}_").replace("_", " ")


def unit_of(unit: str) -> str:
    """Return a unit for an axis: shares are shown in percent."""
    return "%" if unit == "share" else unit


def ordered(told: Row) -> list[str]:
    """Return the metrics of a benchmark's entry in scores.json, those first that it calls its headline."""
    metrics = told.get("metrics") or {}
    return list(dict.fromkeys([*(name for name in told.get("headline") or () if name in metrics), *metrics]))


def headline(told: Row) -> str | None:
    """Return the metric that stands for a benchmark: the first in order that has a value and a better side."""
    metrics, names = told.get("metrics") or {}, ordered(told)
    judged = (name for name in names if metrics[name]["better"] and metrics[name]["value"] is not None)
    return next(judged, next(iter(names), None))


def best_floor(metric: str, row: Row, floors: dict[str, dict[str, Row]]) -> tuple[str, float] | None:
    """Return the hardest floor of a metric: which answer gets it, and what it gets."""
    found = [(name, told[metric]["value"]) for name, told in floors.items() if metric in told]
    found = [(name, value) for name, value in found if value is not None]
    if not found or not row["better"]:
        return None
    return (max if row["better"] == "higher" else min)(found, key=lambda pair: pair[1])


def is_past(row: Row, value: float) -> bool | None:
    """Whether the whole interval of a metric is on the better side of a value; None without an interval."""
    if row.get("low") is None or row.get("high") is None:
        return None
    return row["low"] > value if row["better"] == "higher" else row["high"] < value


def change(difference: Row | None, better: str) -> str:
    """Return better, worse, higher, lower, none (the interval holds zero) or unknown."""
    if not difference or difference.get("low") is None or difference.get("high") is None:
        return "unknown"
    if difference["low"] <= 0 <= difference["high"]:
        return "none"
    rose = difference["low"] > 0
    if not better:
        return "higher" if rose else "lower"
    return "better" if rose == (better == "higher") else "worse"


def colour(told: dict[str, Any] | None, better: str, counts: bool) -> str:
    """Return "better" or "worse" where a difference is clear and its scores count; else nothing."""
    kind = change(told, better)
    return kind if counts and kind in ("better", "worse") else ""


def judge(benchmark: str, told: Row, model: str) -> Verdict | None:
    """Return the sentence about a benchmark's headline metric.

    Parameters
    ----------
    benchmark, told
        Its name; its entry in scores.json.
    model
        Which model it is about, like `iter_2`.
    """
    if told.get("error"):
        return Verdict(benchmark, "", f"not measured: {told['error']}", "bad")
    metrics = told.get("metrics") or {}
    metric = headline(told)
    if metric is None or metrics[metric]["value"] is None:
        return Verdict(benchmark, "", "no value", "plain")
    row = metrics[metric]
    name = title(benchmark, metric)
    unit = row["unit"]
    interval = span(row, unit)
    size = f"{show(row['value'], unit)}{'' if unit in ('share', '') else f' {unit}'}"
    if unit[:1].isdigit():
        size = f"{show(row['value'])} (scale {unit})"
    if told.get("counts", True) is False:
        why = "; ".join(told.get("objections") or ["its judge did not pass calibration"])
        return Verdict(benchmark, name, f"does not count: {why}. ({model} would have {size}.)", "bad")
    text = f"{model} has {size} ({f'95 % {interval}, ' if interval else 'no interval, '}n = {row['n']:,})"
    tone = "plain"
    if floor := best_floor(metric, row, told.get("floors") or {}):
        side = "above" if row["better"] == "higher" else "below"
        past = is_past(row, floor[1])
        clearly = {True: f"clearly {side}", False: f"not clearly {side}", None: "beside"}[past]
        text += f", {clearly} its floor of {show(floor[1], unit)} (the answer \N{LEFT DOUBLE QUOTATION MARK}{floor[0]}"
        text += "\N{RIGHT DOUBLE QUOTATION MARK})"
        tone = "bad" if past is False else tone
    if "minus_base" in row:
        text, tone = _against_base(row, unit, text, tone)
    return Verdict(benchmark, name, text + ".", tone)


def _against_base(row: Row, unit: str, text: str, tone: str) -> tuple[str, str]:
    difference = row["minus_base"]
    kind = change(difference, row["better"])
    if kind == "unknown":
        return f"{text}; its difference to the base has no interval", tone
    told = f"{show(difference['value'], unit, True)}, 95 % {span(difference, unit, True)}, n = {difference['n']:,}"
    words = {"none": "no clear change from the base"}.get(kind, f"clearly {kind} than the base")
    if tone != "bad":
        tone = {"better": "good", "worse": "bad"}.get(kind, tone)
    return f"{text}; {words} ({told})", tone
