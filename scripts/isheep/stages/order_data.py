"""Stage order_data: the rows that train the next model, in the order in which it sees them."""

from __future__ import annotations

from isheep.data.funnel import Funnel
from isheep.data.rows import read_rows
from isheep.runner.job import Job
from isheep.runner.stage import Made
from isheep.select.order import ordered, profile
from isheep.stages.base import Stage

STAGE = Stage(
    "order_data",
    about="sorts the selected rows, like easy ones first, and says how long they are along that order",
    place=52,
    folder="d_{i}",
    makes=("ordered.jsonl", "ordered.funnel.json", "ordered.profile.json"),
    settings=("order",),
    reads=lambda at: {"rows": at.rows_before("order_data")},
    present=lambda run: run.order.by is not None,
    needs=lambda run: (run.order.by, "instruction", "input", "output") if run.order.by else (),
    adds=lambda run: (),
)


def make(this: Job) -> Made:
    """Return the sorted rows and the profile of their order."""
    by, descending = this.run.order.by, this.run.order.descending
    assert by is not None, "the stage is there when there is a column to sort by"
    rows = ordered(list(read_rows(this.input.rows)), by, descending)
    funnel = Funnel("order_data", this.round)
    funnel.keep(len(rows))
    return {"profile": profile(rows, by, descending), "funnel": funnel, "rows": rows}
