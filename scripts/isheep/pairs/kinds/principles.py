"""Pairs by principles: a judge compares two answers on one principle at a time, in both orders (SALMON, 2310.05910)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from pydantic import Field

from isheep.assess.base import Result
from isheep.assess.discrimination import checked, sample_pairs
from isheep.config.assess import Discrimination
from isheep.config.places import File
from isheep.data.rows import Row
from isheep.data.values import significant
from isheep.documents.rounds import AssessorCheck
from isheep.pairs import comparing
from isheep.pairs.base import SMALL, Candidate, Decision, PairSource, by_prompt
from isheep.serving.addressee import Addressee
from isheep.serving.engines.base import Score, ScoreRequest

if TYPE_CHECKING:
    from isheep.config.run import Run

INCONSISTENT, UNREAD = "inconsistent", "unread"


class Principles(PairSource):
    """Answers compared by a judge on principles, drawn and negated at random."""

    kind: Literal["principles"] = "principles"
    judge: Literal["base", "current", "judge"] = Field(
        "current",
        description="Who compares: iter_0, iter_i that answered, or another model, `evaluation.judge` of kind model.",
    )
    principles: File = Field("config/principles/preferences.yaml", description="File of principles: name, more, less.")
    prompt: File = Field("config/prompts/compare.txt", description="Template of what the judge is shown.")
    per_pair: int = Field(3, ge=1, description="Principles drawn for each pair.")
    negate: float = Field(0.5, ge=0, le=1, description="Chance that a principle is negated: less of it is asked for.")
    orders: Literal["agree", "mean"] = Field(
        "agree",
        description="agree: a principle counts where both orders name the same answer; mean: always, by their mean, "
        "which takes out a constant leaning to one side.",
    )
    margin: float = Field(0.0, ge=0, description="Least score of a pair, in standard deviations of its principle's.")
    discrimination: Discrimination = Field(Discrimination(), description="The check of the judge itself.")

    words: ClassVar[str] = "answers compared on principles by their likelihoods in both orders"

    @property
    def asks(self) -> Literal["base", "current", "judge"]:
        """The judge."""
        return self.judge

    @property
    def needs(self) -> tuple[str, ...]:
        """Which prompt an answer is to."""
        return ("prompt_id",)

    @property
    def columns(self) -> Mapping[str, type]:
        """The principle that decided, whether it was negated, and by how much."""
        return {"principle": str, "negated": bool, "margin": float}

    def files(self, run: Run) -> tuple[str, ...]:
        """Return principles and template."""
        return (self.principles, self.prompt)

    def check(self, root: Path) -> None:
        """Raise UserError when principles or template cannot be used."""
        comparing.read_principles(root / self.principles)
        comparing.read_comparison(root / self.prompt)

    def candidates(self, rows: Sequence[Row], run: Run) -> list[Candidate]:
        """Return neighbouring answers to each prompt, so that each stands in one pair; an odd one out in none."""
        found = []
        for prompt, answers in by_prompt(rows):
            for number, start in enumerate(range(0, max(len(answers) - 1, 1), 2)):
                id = f"{prompt}/p{number}" if number else prompt
                found.append(Candidate(id, tuple(answers[start : start + 2])))
        return found

    def scorings(self, candidates: Sequence[Candidate], model: Addressee) -> list[ScoreRequest]:
        """Return two requests for every principle of every candidate."""
        shown = model.load(comparing.read_comparison, self.prompt)
        return [
            request
            for candidate in candidates
            for request in comparing.scorings(candidate, self._drawn(candidate, model), shown, model)
        ]

    def decide(self, candidates: Sequence[Candidate], model: Addressee, result: Result) -> list[Decision]:
        """Return what the strongest of the principles says that count."""
        found = [self._opinions(candidate, model, result) for candidate in candidates]
        spread = comparing.spreads(found)
        return [self._decision(each, spread) for each in found]

    def _decision(self, found: Sequence[comparing.Opinion], spread: dict[str, float]) -> Decision:
        nothing = dict.fromkeys(self.columns)
        if not found:
            return Decision(None, UNREAD, nothing)
        told = comparing.strongest(found, spread, self.orders == "agree")
        if told is None:
            return Decision(None, INCONSISTENT, nothing)
        opinion, score = told
        margin = significant(abs(score))
        name, negated = opinion.drawn.principle.name, opinion.drawn.negated
        columns: Row = dict(zip(self.columns, (name, negated, margin), strict=True))
        if margin < self.margin:
            return Decision(None, SMALL, columns)
        return Decision(0 if score > 0 else 1, None, columns)

    def known(self, rows: Sequence[Row], seed: int) -> list[Candidate]:
        """Return answers against answers to other prompts; the fitting one is the first of every other pair."""
        pairs = sample_pairs(rows, self.discrimination.pairs, seed)
        return [
            Candidate(f"{row['id']}/known", (other, row) if number % 2 else (row, other))
            for number, (row, other) in enumerate(pairs)
        ]

    def measure(
        self, known: Sequence[Candidate], candidates: Sequence[Candidate], model: Addressee, result: Result
    ) -> dict[str, AssessorCheck]:
        """Return how well scores of pairs whose first answer fits stand above those whose second does.

        Pairs on which no principle counts have the score 0.
        """
        comparable = [candidate for candidate in candidates if candidate.rule is None]
        spread = comparing.spreads([self._opinions(candidate, model, result) for candidate in comparable])
        scores: tuple[list[float], list[float]] = ([], [])
        for number, candidate in enumerate(known):
            if found := self._opinions(candidate, model, result):
                told = comparing.strongest(found, spread, self.orders == "agree")
                scores[number % 2].append(told[1] if told else 0.0)
        if not known:
            return {}
        return {self.kind: checked(*scores, sum(map(len, scores)), self.discrimination.warn_below)}

    def _drawn(self, candidate: Candidate, model: Addressee) -> list[comparing.Drawn]:
        principles = model.load(comparing.read_principles, self.principles)
        return comparing.draw(principles, self.per_pair, self.negate, model.seed_for(f"{candidate.id}/principles"))

    def _opinions(self, candidate: Candidate, model: Addressee, result: Result) -> list[comparing.Opinion]:
        return comparing.opinions(
            candidate, self._drawn(candidate, model), lambda request: cast(Score, result(request))
        )
