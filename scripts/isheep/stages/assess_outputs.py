"""Stage assess_outputs: every assessor's scores for every row, and how well each tells matched from shuffled pairs."""

from __future__ import annotations

import logging
from itertools import chain

from isheep.assess import discrimination
from isheep.assess import stage as assessing
from isheep.assess.plan import plan
from isheep.data.rows import StoredRows, Stream
from isheep.runner import stage
from isheep.runner.dispatch import Send
from isheep.runner.job import Job
from isheep.runner.judged import ByOwnJudge
from isheep.stages.base import Stage, chosen, judge_identity, judge_settings, judge_weights, shown, style, style_code

logger = logging.getLogger(__name__)


judge = chosen("assess.model")

STAGE = Stage(
    "assess_outputs",
    about="has the model (or the base) score every answer",
    place=40,
    folder="d_{i}",
    makes=("evaluated.jsonl", "evaluated.rejected.jsonl", "evaluated.funnel.json", "discrimination.json"),
    settings=("seed", "model", "engine", "outputs.plain", "assess"),
    reads=lambda at: {"rows": at.rows_before("assess_outputs"), **judge_identity(at.run.assess.model)},
    files=lambda run: [*(file for assessor in run.assess.assessors for file in assessor.files), *shown(run)],
    derives=lambda run: {**style(run), **judge_settings(run, run.assess.model)},
    code=style_code,
    model=judge,
    weights=judge_weights,
    machine="assess",
    shards="whole",
    present=lambda run: bool(run.assess.assessors),
    needs=lambda run: ("instruction", "input", "output"),
    adds=lambda run: [column for assessor in run.assess.assessors for column in assessor.columns],
    engine=True,
    does="assess",
)


class Work(ByOwnJudge):
    """Asks every assessor about every row, and about shuffled copies of some."""

    declared = STAGE

    def __init__(self, this: Job) -> None:
        super().__init__(this)
        rows = StoredRows(this.input.rows)
        self.plan = plan(this.run, self.template, judge(this.run, this.round), this.round, rows)

    def requests(self, send: Send) -> None:
        """Send what the assessors ask about every row."""
        asked = self.plan.asked(self.job.part), self.plan.assessors
        self.results = send(Stream(lambda: chain(assessing.completions(*asked), assessing.scorings(*asked))))

    def finish(self) -> stage.Made:
        """Return the rows with their scores, those that got none, and what the assessors could tell."""
        assessors, result = self.plan.assessors, self.results.__getitem__
        rows = assessing.assess_rows(self.plan.rows, assessors, result, self.job.round)
        warn_below = self.run.assess.discrimination.warn_below
        measured = discrimination.discrimination(self.plan.pairs, assessors, result, warn_below)
        for line in discrimination.warnings(measured):
            logger.warning(line)
        return {"discrimination": measured, "rows": rows}
