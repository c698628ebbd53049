"""Pointwise mutual information: how much likelier the prompt makes the output, with no judge in between."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from isheep.assess.base import Result
from isheep.data.rows import Row
from isheep.data.values import significant
from isheep.serving.chat import neutralise
from isheep.serving.engines.base import Prompt, Request, Score, ScoreRequest

_PARTS = ("given", "neutral")


@dataclass(frozen=True)
class PmiAssessor:
    """Mean over the output's tokens of log p(output | prompt) - log p(output | neutral prompt), in nats a token.

    Parameters
    ----------
    name
        The score's column.
    neutral
        The neutral prompt, an instruction that asks for nothing in particular.
    render
        Renders instruction and input as when outputs are generated.
    gap
        What separates output and rendered prompt (`chat.seam`).
    control_tokens
        Broken in the output, where they would be read as the end of a turn.
    """

    name: str
    neutral: str
    render: Callable[[str, str], Prompt]
    gap: str
    control_tokens: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The score alone."""
        return (self.name,)

    def completions(self, row: Row) -> Sequence[Request]:
        """Return nothing: no text is generated."""
        return []

    def scorings(self, row: Row) -> Sequence[ScoreRequest]:
        """Return the output after its own prompt and after the neutral one; nothing for an empty output."""
        if not row["output"].strip():
            return []
        prompts = (self.render(row["instruction"], row["input"]), self.render(self.neutral, ""))
        output = self.gap + neutralise(row["output"], self.control_tokens)
        return [
            ScoreRequest(f"{row['id']}/{self.name}/{part}", prompt, (output,))
            for part, prompt in zip(_PARTS, prompts, strict=True)
        ]

    def columns_of(self, row: Row, result: Result) -> dict[str, float | int | str | None]:
        """Return the score; None for an output without tokens or one that does not fit the context."""
        scores = [result(request.id) for request in self.scorings(row)]
        return {self.name: _per_token(*scores) if scores else None}


def _per_token(given: Score, neutral: Score) -> float | None:
    """Return the difference of the two log-likelihoods divided by the output's tokens."""
    if not given.tokens or not neutral.tokens or not given.tokens[0]:
        return None
    difference = (given.log_likelihoods[0] - neutral.log_likelihoods[0]) / given.tokens[0]
    return significant(difference) if math.isfinite(difference) else None
