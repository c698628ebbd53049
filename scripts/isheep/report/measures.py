"""Health figures as series over rounds, whatever groups they come in: every number with a name becomes one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from isheep.report.gather import Round

QUANTILE = re.compile(r"p\d{1,2}")
APART = frozenset({"round", "sample", "alarms", "checked"})
DETAILS = frozenset({"value", "n", "unit", "better", "low", "high"})


@dataclass(frozen=True)
class Series:
    """One figure over rounds; `values` are (round, value), n of the last."""

    group: str
    about: str
    name: str
    values: tuple[tuple[int, float], ...]
    unit: str
    better: str
    n: int | None

    @property
    def moves(self) -> bool:
        """Whether it is not the same in every round: else a drawing would show a flat line."""
        return len({value for _, value in self.values}) > 1


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of one length over rounds: p5: [(round, value)]."""

    group: str
    name: str
    values: dict[str, tuple[tuple[int, float], ...]]
    unit: str


def series(rounds: list[Round]) -> tuple[list[Series], list[Quantiles]]:
    """Return every number of the rounds' health as a series, and quantiles together."""
    found: dict[tuple[str, ...], list[tuple[int, dict[str, Any]]]] = {}
    for one in rounds:
        for path, leaf in _leaves(one.health or {}, ()):
            found.setdefault(path, []).append((one.i, leaf))
    singles, bands = [], {}
    for path, told in found.items():
        values = tuple((i, leaf["value"]) for i, leaf in told if leaf["value"] is not None)
        last = told[-1][1]
        about, name = " ".join(path[1:-1]).replace("_", " "), path[-1].replace("_", " ")
        if QUANTILE.fullmatch(path[-1]):
            unit = last.get("unit") or next((word for word in ("words", "tokens") if word in path), "")
            one = bands.setdefault(path[:-1], Quantiles(path[0], about, {}, unit))
            one.values[path[-1]] = values
        elif values:
            unit = last.get("unit", "share" if path[-1].startswith("share") else "")
            singles.append(Series(path[0], about, name, values, unit, last.get("better", ""), last.get("n")))
    return singles, [band for band in bands.values() if any(band.values.values())]


def _leaves(value: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for key, child in value.items():
        if not path and key in APART:
            continue
        here = (*path, str(key))
        if isinstance(child, dict) and "value" in child:
            yield here, child
            yield from _leaves({name: more for name, more in child.items() if name not in DETAILS}, here)
        elif isinstance(child, dict):
            yield from _leaves(child, here)
        elif isinstance(child, int | float) and not isinstance(child, bool) and key != "n":
            yield here, {"value": child, "n": value.get("n")}


def alarms(rounds: list[Round]) -> list[dict[str, Any]]:
    """Return every alarm that rang with its round, those that stop a run first."""
    rang = [{"round": one.i, **alarm} for one in rounds for alarm in (one.health or {}).get("alarms", [])]
    return sorted(rang, key=lambda alarm: (alarm["level"] != "stop", alarm["round"]))
