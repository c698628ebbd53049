"""Health figures as series over rounds, whatever groups they come in: every number with a name becomes one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from isheep.documents.tables import Leaf, leaves
from isheep.report.gather import Round

QUANTILE = re.compile(r"p\d{1,2}")


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
class Band:
    """Band of one length over rounds: p5: [(round, value)]."""

    group: str
    name: str
    values: dict[str, tuple[tuple[int, float], ...]]
    unit: str


def series(rounds: list[Round]) -> tuple[list[Series], list[Band]]:
    """Return every number of the rounds' health as a series, and quantiles together."""
    by_path: dict[tuple[str, ...], list[tuple[int, Leaf]]] = {}
    for data in rounds:
        for path, leaf in leaves(data.health or {}):
            by_path.setdefault(path, []).append((data.i, leaf))
    singles: list[Series] = []
    bands: dict[tuple[str, ...], Band] = {}
    for path, points in by_path.items():
        values = tuple((i, leaf["value"]) for i, leaf in points if leaf["value"] is not None)
        last = points[-1][1]
        about, name = " ".join(path[1:-1]).replace("_", " "), path[-1].replace("_", " ")
        if QUANTILE.fullmatch(path[-1]):
            band = bands.setdefault(path[:-1], Band(path[0], about, {}, last.get("unit", "")))
            band.values[path[-1]] = values
        elif values:
            better = last.get("better", "")
            singles.append(Series(path[0], about, name, values, last.get("unit", ""), better, last.get("n")))
    return singles, [band for band in bands.values() if any(band.values.values())]
