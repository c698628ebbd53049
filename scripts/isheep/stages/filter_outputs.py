"""Stage filter_outputs: rules drop broken answers; each dropped row keeps the name of its rule."""

from __future__ import annotations

from isheep.data.rows import StoredRows
from isheep.documents.rounds import read_funnel
from isheep.filters.registry import resolve
from isheep.outputs.answers import affordable, filter_rows
from isheep.runner.job import Job
from isheep.runner.stage import Made
from isheep.stages.base import Read, Reads, Round, Stage


def _reads(at: Round) -> Reads:
    costs = [Read("generate_prompts", at.i, "prompts.funnel.json")] if at.run.outputs.budget else []
    return {"rows": at.rows_before("filter_outputs"), "costs": costs}


STAGE = Stage(
    "filter_outputs",
    about="drops broken answers by rule",
    place=30,
    folder="d_{i}",
    makes=("filtered.jsonl", "filtered.rejected.jsonl", "filtered.funnel.json"),
    settings=("outputs.rules", "outputs.budget"),
    reads=_reads,
    code=lambda run: [rule.module for rule in resolve("outputs", run.outputs.rules)],
    present=lambda run: run.outputs.budget is not None or any(rule != "none" for rule in run.outputs.rules),
    needs=lambda run: ("instruction", "input", "output", "finish_reason", "output_tokens"),
    adds=lambda run: (),
)


def make(this: Job) -> Made:
    """Return the rows within the budget that no rule drops, and the others."""
    rules = resolve("outputs", this.run.outputs.rules)
    rows, most = StoredRows(this.input.rows), None
    if budget := this.run.outputs.budget:
        (costs,) = this.input.get("costs", [])
        most = affordable(rows, budget, read_funnel(costs)["completion_tokens"])
    return {"rows": filter_rows(rows, rules, this.round, most)}
