"""The drawn way from seeds and base model to the last model: which model made which data, which data trained which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from isheep.data.numbers import shown
from isheep.documents.rounds import StageFunnel
from isheep.report.gather import Report

COLUMN, BOX_WIDTH, BOX_HEIGHT = 190, 132, 46
DATA_Y, MODEL_Y = 52, 162


@dataclass(frozen=True)
class Box:
    """A node: its corner, texts, kind (model, data or seeds)."""

    x: int
    y: int
    title: str
    line: str
    kind: str


@dataclass(frozen=True)
class Arrow:
    """An edge as an SVG path, and what it says."""

    path: str
    says: str
    kind: str


@dataclass(frozen=True)
class Lineage:
    """A drawing in SVG's units."""

    width: int
    height: int
    boxes: list[Box]
    arrows: list[Arrow]
    words: str


def draw(report: Report) -> Lineage:
    """Return the graph of a run: models below, their data above, time from left to right."""
    settings = report.settings
    rounds = len(report.rounds)
    boxes = [Box(0, DATA_Y, "seeds", _short(settings["seeds"]["path"]), "seeds")]
    boxes += [Box(_data_x(data.i), DATA_Y, f"d_{data.i}", _rows(data.funnels), "data") for data in report.rounds]
    boxes += [
        Box(_model_x(model.i), MODEL_Y, f"iter_{model.i}", (model.identity or "not made")[:12], "model")
        for model in report.models
    ]
    arrows = list(_arrows(rounds, settings["train"]["start_from"] == "previous"))
    judge = "each model judges its own data" if settings["assess"]["model"] == "current" else "iter_0 judges all data"
    start = "the model before" if settings["train"]["start_from"] == "previous" else "iter_0, the base"
    way = f"With them iter_i writes d_i, d_i trains iter_i+1, which starts from {start}; {judge}."
    words = f"The seeds go into every round. {way}"
    return Lineage(_model_x(rounds) + BOX_WIDTH + 2, MODEL_Y + BOX_HEIGHT + 70, boxes, arrows, words)


def _data_x(i: int) -> int:
    return COLUMN * (i + 1) - COLUMN // 2 + 75


def _model_x(i: int) -> int:
    return COLUMN * i + (75 if i else 0)


def _arrows(rounds: int, from_previous: bool) -> Iterator[Arrow]:
    top, bottom, half = DATA_Y + BOX_HEIGHT, MODEL_Y, BOX_WIDTH // 2
    yield _straight(BOX_WIDTH, DATA_Y + 23, _data_x(0), DATA_Y + 23, "the seeds are shown to iter_0", "seeds")
    for i in range(rounds):
        if i:
            yield _seeds(i)
        yield _straight(
            _model_x(i) + half + 20, bottom, _data_x(i) + half - 20, top, f"iter_{i} writes d_{i}", "writes"
        )
        yield _straight(_data_x(i) + half + 20, top, _model_x(i + 1) + half - 20, bottom,
                        f"d_{i} trains iter_{i + 1}", "trains")  # fmt: skip
        start = i if from_previous else 0
        x, end = _model_x(start) + half, _model_x(i + 1) + half
        depth = MODEL_Y + BOX_HEIGHT + 22 + min(10 * (i - start), 40)
        path = f"M{x},{MODEL_Y + BOX_HEIGHT} C{x},{depth + 12} {end},{depth + 12} {end},{MODEL_Y + BOX_HEIGHT + 6}"
        yield Arrow(path, f"iter_{i + 1} starts from iter_{start}", "starts")


def _seeds(i: int) -> Arrow:
    """Return the way of the seeds into a later round, over the data in between."""
    end, height = _data_x(i) + BOX_WIDTH // 2, max(DATA_Y - 22 - 8 * i, 2)
    path = f"M{BOX_WIDTH // 2},{DATA_Y} C{BOX_WIDTH // 2},{height} {end},{height} {end},{DATA_Y - 6}"
    return Arrow(path, f"the seeds go into d_{i}, too", "seeds")


def _straight(x: int, y: int, to_x: int, to_y: int, says: str, kind: str) -> Arrow:
    length = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5
    short = (length - 6) / length  # room for the head of the arrow
    return Arrow(f"M{x},{y} L{x + (to_x - x) * short:.1f},{y + (to_y - y) * short:.1f}", says, kind)


def _rows(funnels: dict[str, StageFunnel]) -> str:
    last = list(funnels.values())[-1] if funnels else None
    return f"{shown(last['rows_out'])} rows" if last else "not made"


def _short(path: str) -> str:
    name = path.rsplit("/", 1)[-1]
    return name if len(name) <= 20 else f"{name[:18]}\N{HORIZONTAL ELLIPSIS}"
