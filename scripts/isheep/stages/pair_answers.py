"""Stage pair_answers: answers to one prompt become preference pairs, chosen and rejected."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import chain
from typing import Any

from isheep.assess import discrimination
from isheep.data.rows import read_rows
from isheep.pairs.rows import COLUMNS, pair
from isheep.pairs.rows import STAGE as NAME
from isheep.runner import stage
from isheep.runner.dispatch import Send, draw_seed
from isheep.runner.job import Job
from isheep.runner.judged import ByOwnJudge
from isheep.serving.addressee import Addressee
from isheep.stages.base import Stage, chosen, judge_identity, judge_settings, judge_weights, shown, style, style_code

logger = logging.getLogger(__name__)


judge = chosen("pairs.asks")

STAGE = Stage(
    NAME,
    about="puts answers to one prompt into pairs, the better and the worse",
    place=55,
    folder="d_{i}",
    makes=("pairs.jsonl", "pairs.rejected.jsonl", "pairs.funnel.json", "pairs.discrimination.json"),
    settings=("seed", "model", "engine", "outputs.plain", "pairs"),
    reads=lambda at: {"rows": at.rows_before(NAME), **judge_identity(at.run.pairs.asks)},
    files=lambda run: [*run.pairs.files(run), *shown(run)],
    derives=lambda run: {**style(run), **judge_settings(run, run.pairs.asks)},
    code=style_code,
    model=judge,
    weights=judge_weights,
    machine="assess",
    shards="whole",
    asks=lambda run: run.pairs.asks is not None,
    present=lambda run: run.pairs.present,
    needs=lambda run: ("instruction", "input", "output", *run.pairs.needs),
    adds=lambda run: (*COLUMNS, *run.pairs.columns),
    engine=True,
    does="pair answers",
)


class Work(ByOwnJudge):
    """Asks the judge, where the source has one, about every candidate and about pairs whose order is known."""

    declared = STAGE

    def __init__(self, this: Job) -> None:
        super().__init__(this)
        rows = list(read_rows(this.input.rows))
        self.source = this.run.pairs
        self.candidates = self.source.candidates(rows, this.run)
        self.known = self.source.known(rows, self._seed("discrimination"))
        self.judge = Addressee(self.template, self.plain(judge(this.run, this.round)), self._seed)
        self.results: Mapping[str, Any] = {}

    def _seed(self, request: str) -> int:
        return draw_seed(self.run.seed, NAME, self.job.round, request)

    def requests(self, send: Send) -> None:
        """Send what decides each candidate that has two different answers."""
        comparable = [each for each in chain(self.candidates, self.known) if each.rule is None]
        if wanted := self.source.scorings([*self.job.part(comparable)], self.judge):
            self.results = send(wanted)

    def finish(self) -> stage.Made:
        """Return the pairs, what became none, and how well the judge tells pairs whose order is known."""
        result = self.results.__getitem__
        pairs, rejected, funnel = pair(
            self.candidates, self.source, lambda some: self.source.decide(some, self.judge, result), self.job.round
        )
        measured = self.source.measure(self.known, self.candidates, self.judge, result)
        for line in discrimination.warnings(measured):
            logger.warning(line)
        return {"discrimination": measured, "rejected": rejected, "funnel": funnel, "rows": pairs}
