"""Pointwise mutual information: how much likelier the prompt makes the output, with no judge in between."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from isheep.assess.base import NAME, Assessor, Columns, Result
from isheep.data.rows import Row
from isheep.data.values import significant
from isheep.serving.addressee import Addressee
from isheep.serving.chat import conversation, neutralise, user
from isheep.serving.engines.base import Score, ScoreRequest

PARTS = ("given", "neutral")


class Pmi(Assessor):
    """An assessor that needs no judge: mean log p(output | prompt) - log p(output | neutral prompt), nats a token."""

    kind: Literal["pmi"] = "pmi"
    name: str = Field("pmi", pattern=NAME, description="Name of the column that it adds.")
    neutral: str = Field("Say something.", description="The neutral prompt.")

    def scorings(self, row: Row, model: Addressee) -> Sequence[ScoreRequest]:
        """Return the output after its own conversation and after the neutral prompt; nothing for an empty output.

        Both are rendered as when outputs are generated, for a base model with the same demonstrations before them;
        control tokens are broken in the output, where they would be read as the end of a turn.
        """
        if not row["output"].strip():
            return []
        turns = conversation(row)
        prompts = (model.task(turns), model.task(user(self.neutral), beside=turns[0]["content"]))
        output = model.seam + neutralise(row["output"], model.control_tokens)
        return [
            ScoreRequest(request, prompt, (output,)) for request, prompt in zip(self._ids(row), prompts, strict=True)
        ]

    def columns_of(self, row: Row, result: Result) -> Columns:
        """Return the score; None for an output without tokens or one that does not fit the context."""
        if not row["output"].strip():
            return {self.name: None}
        return {self.name: _per_token([result(id) for id in self._ids(row)])}

    def _ids(self, row: Row) -> list[str]:
        return [f"{row['id']}/{self.name}/{part}" for part in PARTS]


def _per_token(scores: Sequence[object]) -> float | None:
    """Return the log-likelihood given the prompt less the one without it, divided by the output's tokens."""
    given, neutral = scores
    assert isinstance(given, Score) and isinstance(neutral, Score)
    if not given.tokens or not neutral.tokens or not given.tokens[0]:
        return None
    difference = (given.log_likelihoods[0] - neutral.log_likelihoods[0]) / given.tokens[0]
    return significant(difference) if math.isfinite(difference) else None
