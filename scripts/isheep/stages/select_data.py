"""Stage select_data: the rows that train the next model, d_i."""

from __future__ import annotations

from isheep.data.rows import StoredRows
from isheep.runner.job import Job
from isheep.runner.stage import Made
from isheep.select.rows import select
from isheep.stages.base import Stage

STAGE = Stage(
    "select_data",
    about="keeps the best rows",
    place=50,
    folder="d_{i}",
    makes=("selected.jsonl", "selected.rejected.jsonl", "selected.funnel.json"),
    settings=("select",),
    reads=lambda at: {"rows": at.rows_before("select_data")},
    present=lambda run: run.select.kind != "none",
    needs=lambda run: run.select.columns,
    adds=lambda run: (),
)


def make(this: Job) -> Made:
    """Return the rows that are kept, and the others."""
    return {"rows": select(StoredRows(this.input.rows), this.run.select, this.round)}
