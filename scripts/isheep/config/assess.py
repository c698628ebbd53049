"""Section `assess`: who assesses answers, by which assessors, and how these are checked themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from isheep.assess.kinds.judge import Judge
from isheep.assess.kinds.pmi import Pmi
from isheep.config.kinds import union
from isheep.config.section import Section

if TYPE_CHECKING:
    from isheep.assess.base import Assessor
else:
    Assessor = union("isheep.assess.kinds")


class Discrimination(Section):
    """Can an assessor tell an answer to this prompt from an answer to another? Measured every round as AUC."""

    pairs: int = Field(100, ge=0, description="Matched and shuffled pairs to score, each; 0 turns it off.")
    warn_below: float = Field(0.6, ge=0, le=1, description="AUC under which a warning is logged.")


class Assess(Section):
    """Stage assess_outputs."""

    model: Literal["base", "current", "judge"] = Field(
        "base",
        description="Who assesses: iter_0, as the released scripts did; iter_i, as the paper's Algorithm 1; or another "
        "model, `evaluation.judge` of kind model.",
    )
    assessors: tuple[Assessor, ...] = Field(
        (
            Judge(name="quality", rubric="config/prompts/quality.txt"),
            Judge(name="following", rubric="config/prompts/following.txt"),
            Pmi(),
        ),
        description="Each adds one column of scores.",
    )
    discrimination: Discrimination = Field(Discrimination(), description="The check of the assessors themselves.")

    @model_validator(mode="after")
    def _distinct(self) -> Assess:
        names = [assessor.name for assessor in self.assessors]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two assessors are named {', '.join(twice)}")
        return self
