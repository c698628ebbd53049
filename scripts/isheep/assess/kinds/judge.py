"""The judge: the model scores an answer from 1 to 10 against a rubric (paper 3.2, Appendix A)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from isheep.assess.base import NAME, Assessor, Columns, Result, Scale
from isheep.assess.rubric import FENCE, read_rubric
from isheep.assess.scale import SCALE, belief, candidates, parse_score
from isheep.config.places import File
from isheep.config.sampling import Sampling
from isheep.data.rows import Row
from isheep.data.values import significant
from isheep.serving.addressee import Addressee
from isheep.serving.chat import transcript
from isheep.serving.engines.base import Completion, Prompt, Request, Score, ScoreRequest


class Judge(Assessor):
    """An assessor that asks the model for a score from 1 to 10 on one criterion."""

    kind: Literal["judge"] = "judge"
    name: str = Field("quality", pattern=NAME, description="Name of the column that it adds.")
    rubric: File = Field("config/prompts/quality.txt", description="Rubric template file.")
    method: Literal["expected", "greedy", "sampled"] = Field(
        "expected",
        description="expected: mean of 1-10 under the model's probabilities; greedy: the likeliest of 1-10; "
        "sampled: parse generated text (as the paper did).",
    )
    sampling: Sampling = Field(Sampling(), description="sampled: how the text is drawn.")

    scale: ClassVar[Scale] = Scale(SCALE[0], SCALE[-1])

    @property
    def columns(self) -> tuple[str, ...]:
        """The score, and beside it the raw text (sampled) or the probability of all ten scores together (0-1)."""
        return (self.name, f"{self.name}_text" if self.method == "sampled" else f"{self.name}_mass")

    @property
    def files(self) -> tuple[str, ...]:
        """The rubric."""
        return (self.rubric,)

    def check(self, root: Path) -> None:
        """Raise UserError when the rubric cannot be used."""
        read_rubric(root / self.rubric)

    def completions(self, row: Row, model: Addressee) -> Sequence[Request]:
        """Return the one text to sample; what opens another fence ends it: a base model goes on with a next pair."""
        if self.method != "sampled":
            return []
        request = self._id(row)
        return [Request(request, self.prompt(row, model), self.sampling.until(FENCE), model.seed_for(request))]

    def scorings(self, row: Row, model: Addressee) -> Sequence[ScoreRequest]:
        """Return the one request for the ten candidates."""
        if self.method == "sampled":
            return []
        cue = model.load(read_rubric, self.rubric).cue
        return [ScoreRequest(self._id(row), self.prompt(row, model), candidates(cue))]

    def columns_of(self, row: Row, result: Result) -> Columns:
        """Return score and companion column; the score is None for a text without one or a pair too long."""
        done = result(self._id(row))
        if isinstance(done, Completion):
            return dict(zip(self.columns, (parse_score(done.text), done.text), strict=True))
        return dict(zip(self.columns, self._read(done), strict=True))

    def _read(self, done: Score) -> tuple[float | int | None, float | None]:
        believed = belief(done)
        if believed is None:
            return None, None
        score = believed.greedy if self.method == "greedy" else significant(believed.expected)
        return score, significant(believed.mass)

    def prompt(self, row: Row, model: Addressee) -> Prompt:
        """Return what the judge is shown: the rubric with the pair in it, then the cue.

        The cue opens the judge's own turn; only what follows it is ever read as a score.
        """
        rubric = model.load(read_rubric, self.rubric)
        asked = model.ask(rubric.fill(transcript(row), row["output"], model.control_tokens))
        return Prompt(asked.text + rubric.cue, asked.add_special_tokens)

    def _id(self, row: Row) -> str:
        return f"{row['id']}/{self.name}"
