"""Stage filter_outputs: rules drop broken answers; each dropped row keeps the name of its rule."""

from __future__ import annotations

from isheep.data.rows import read_rows
from isheep.filters.registry import resolve
from isheep.outputs.answers import filter_rows
from isheep.runner.job import Job
from isheep.runner.stage import Made
from isheep.stages.base import Stage

STAGE = Stage(
    "filter_outputs",
    about="drops broken answers by rule",
    place=30,
    folder="d_{i}",
    makes=("filtered.jsonl", "filtered.rejected.jsonl", "filtered.funnel.json"),
    settings=("outputs.rules",),
    reads=lambda at: {"rows": at.rows_before("filter_outputs")},
    code=lambda run: [rule.module for rule in resolve("outputs", run.outputs.rules)],
    present=lambda run: any(rule != "none" for rule in run.outputs.rules),
    needs=lambda run: ("instruction", "input", "output", "finish_reason"),
    adds=lambda run: (),
)


def make(this: Job) -> Made:
    """Return the rows that no rule drops, and the others."""
    rules = resolve("outputs", this.run.outputs.rules)
    kept, rejected, funnel = filter_rows(read_rows(this.input.rows), rules, this.round)
    return {"rejected": rejected, "funnel": funnel, "rows": kept}
