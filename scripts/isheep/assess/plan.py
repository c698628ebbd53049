"""What stage assess_outputs has to ask: every row, and the shuffled pairs that test the assessors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from isheep.assess.base import Panel
from isheep.assess.discrimination import sample_pairs
from isheep.assess.stage import STAGE, build
from isheep.config.run import Run
from isheep.data.rows import Row, Stream
from isheep.runner.dispatch import draw_seed
from isheep.serving.engines.base import Template


@dataclass(frozen=True)
class Plan:
    """Rows to assess, pairs (row, shuffled copy) drawn from them, and the assessors with the model that they ask."""

    rows: Iterable[Row]
    pairs: Sequence[tuple[Row, Row]]
    assessors: Panel

    def asked(self, part: Callable[[Iterable[Row]], Iterable[Row]] = iter) -> Stream[Row]:
        """Return all that gets scores, or a job's part of it: of the rows, then of the shuffled copies."""
        copies = [shuffled for _, shuffled in self.pairs]
        return Stream(lambda: chain(part(self.rows), part(copies)))


def plan(run: Run, template: Template, judge: int | None, round_number: int, rows: Iterable[Row]) -> Plan:
    """Return what to ask in a round.

    Parameters
    ----------
    run
        The run's settings.
    template
        The assessing model's chat template.
    judge
        Which iteration assesses, None for the evaluation's own judge; a base model that knows no template is addressed
        plainly.
    round_number
        Decides, with the run's seed, which pairs are drawn.
    rows
        The filtered rows; walked several times.
    """
    fields = next(iter(rows), {}).keys()

    def seed_for(request: str) -> int:
        return draw_seed(run.seed, STAGE, round_number, request)

    assessors = build(run.assess, template, run.plain_for(judge), seed_for, Path(), fields)
    pairs = sample_pairs(rows, run.assess.discrimination.pairs, seed_for("discrimination"))
    return Plan(rows, pairs, assessors)
