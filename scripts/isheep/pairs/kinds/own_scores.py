"""Pairs by the model's own scores: the best answer to a prompt against the worst (Self-Rewarding, arXiv 2401.10020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from isheep.assess.base import Result
from isheep.data.rows import Row
from isheep.data.values import significant
from isheep.pairs.base import SMALL, TIE, Candidate, Decision, PairSource, by_prompt
from isheep.serving.addressee import Addressee

if TYPE_CHECKING:
    from isheep.config.run import Run


class OwnScores(PairSource):
    """The best of a prompt's answers against the worst, by a column of scores."""

    kind: Literal["own_scores"] = "own_scores"
    column: str = Field("quality", description="Column of scores to compare by.")
    margin: float = Field(0.0, ge=0, description="Least difference of the two scores.")

    words: ClassVar[str] = "the best answer to a prompt against the worst, by the model's own scores"

    @property
    def needs(self) -> tuple[str, ...]:
        """The scores, and which prompt an answer is to."""
        return ("prompt_id", self.column)

    @property
    def columns(self) -> Mapping[str, type]:
        """The difference of the two scores."""
        return {"margin": float}

    def candidates(self, rows: Sequence[Row], run: Run) -> list[Candidate]:
        """Return best and worst answer of each prompt; of equal scores the earlier sample's."""
        found = []
        for prompt, answers in by_prompt(rows):
            ranked = sorted(answers, key=lambda row: -row[self.column])
            worst = next(row for row in answers if row[self.column] == ranked[-1][self.column])
            ends = (ranked[0], worst if worst is not ranked[0] else ranked[-1])
            found.append(Candidate(prompt, ends if len(answers) > 1 else ends[:1]))
        return found

    def decide(self, candidates: Sequence[Candidate], model: Addressee, result: Result) -> list[Decision]:
        """Return that the first is the better, unless scores are equal or nearly so."""
        decisions = []
        for best, worst in (candidate.answers for candidate in candidates):
            margin = significant(best[self.column] - worst[self.column])
            rule = TIE if margin == 0 else SMALL if margin < self.margin else None
            decisions.append(Decision(None if rule else 0, rule, {"margin": margin}))
        return decisions
