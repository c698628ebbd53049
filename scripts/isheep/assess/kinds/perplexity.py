"""Perplexity: how surprised the model is by a prompt, an answer, or both, with no judge in between."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from isheep.assess.base import NAME, Assessor, Columns, Result
from isheep.data.rows import Row
from isheep.data.values import significant
from isheep.serving.addressee import Addressee
from isheep.serving.chat import conversation, neutralise, transcript
from isheep.serving.engines.base import Prompt, Score, ScoreRequest


class Perplexity(Assessor):
    """An assessor that says nothing of right or wrong: exp of the mean negative log-likelihood, nats a token."""

    kind: Literal["perplexity"] = "perplexity"
    name: str = Field("perplexity", pattern=NAME, description="Name of the column that it adds.")
    of: Literal["prompt", "output", "answer", "pair"] = Field(
        "answer",
        description="prompt: instruction and input; output: the output by itself; answer: the output after its prompt, "
        "as outputs are generated; pair: prompt and output as one text. The paper's band is of output and pair.",
    )

    judges: ClassVar[bool] = False

    def scorings(self, row: Row, model: Addressee) -> Sequence[ScoreRequest]:
        """Return the one text to be scored; nothing for an empty one. Control tokens in it are broken."""
        prompt, text = Prompt("", add_special_tokens=True), self._text(row)
        if not text.strip():
            return []
        if self.of == "answer":
            prompt, text = model.task(conversation(row)), model.seam + text
        return [ScoreRequest(self._id(row), prompt, (neutralise(text, model.control_tokens),))]

    def _text(self, row: Row) -> str:
        task = transcript(row)
        output: str = row["output"]
        return {"prompt": task, "pair": f"{task}\n\n{output}"}.get(self.of, output)

    def columns_of(self, row: Row, result: Result) -> Columns:
        """Return the perplexity, 1 and above; None for a text without tokens or one that does not fit the context."""
        done = result(self._id(row)) if self._text(row).strip() else None
        if not isinstance(done, Score) or not done.tokens or not done.tokens[0]:
            return {self.name: None}
        nats = -done.log_likelihoods[0] / done.tokens[0]
        return {self.name: significant(math.exp(nats)) if nats < math.log(1e30) else None}

    def _id(self, row: Row) -> str:
        return f"{row['id']}/{self.name}"
