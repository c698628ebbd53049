"""The judge: the model scores an answer from 1 to 10 against a rubric (paper 3.2, Appendix A)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from isheep.assess.base import Result
from isheep.assess.rubric import FENCE, Rubric
from isheep.assess.scale import belief, candidates, parse_score
from isheep.data.rows import Row
from isheep.data.values import significant
from isheep.serving.chat import join
from isheep.serving.engines.base import Completion, Prompt, Request, Sampling, Score, ScoreRequest


@dataclass(frozen=True)
class JudgeAssessor:
    """Asks for a score on one criterion.

    Parameters
    ----------
    name
        The score's column.
    method
        `expected`: mean of 1-10 under the model's probabilities; `greedy`: the likeliest; `sampled`: parsed from a
        generated text.
    rubric
        What is asked.
    ask
        Renders a rubric's body for the judge, up to where its answer starts.
    control_tokens
        Broken wherever the pair under judgement holds them.
    sampling
        sampled: how the text is drawn; what opens another fence ends it, since a base model goes on with a next pair.
    seed_for
        sampled: gives the seed for a request id.
    """

    name: str
    method: Literal["expected", "greedy", "sampled"]
    rubric: Rubric
    ask: Callable[[str], Prompt]
    control_tokens: tuple[str, ...]
    sampling: Sampling
    seed_for: Callable[[str], int]

    @property
    def columns(self) -> tuple[str, ...]:
        """The score, and beside it the raw text (sampled) or the probability of all ten scores together (0-1)."""
        return (self.name, f"{self.name}_text" if self.method == "sampled" else f"{self.name}_mass")

    def completions(self, row: Row) -> Sequence[Request]:
        """Return the one text to sample."""
        if self.method != "sampled":
            return []
        request, drawn = self._id(row), self.sampling
        sampling = Sampling(drawn.temperature, drawn.top_p, drawn.max_tokens, (*drawn.stop, FENCE))
        return [Request(request, self.prompt(row), sampling, self.seed_for(request))]

    def scorings(self, row: Row) -> Sequence[ScoreRequest]:
        """Return the one request for the ten candidates."""
        if self.method == "sampled":
            return []
        return [ScoreRequest(self._id(row), self.prompt(row), candidates(self.rubric.cue))]

    def columns_of(self, row: Row, result: Result) -> dict[str, float | int | str | None]:
        """Return score and companion column; the score is None for a text without one or a pair too long."""
        done = result(self._id(row))
        if isinstance(done, Completion):
            return dict(zip(self.columns, (parse_score(done.text), done.text), strict=True))
        return dict(zip(self.columns, self._read(done), strict=True))

    def _read(self, done: Score) -> tuple[float | int | None, float | None]:
        found = belief(done)
        if found is None:
            return None, None
        score = found.greedy if self.method == "greedy" else significant(found.expected)
        return score, significant(found.mass)

    def prompt(self, row: Row) -> Prompt:
        """Return what the judge is shown: rubric first, so that all rows share its cache, then the pair, then the cue.

        The cue opens the judge's own turn; only what follows it is ever read as a score.
        """
        shown = join(row["instruction"], row["input"])
        asked = self.ask(self.rubric.fill(shown, row["output"], self.control_tokens))
        return Prompt(asked.text + self.rubric.cue, asked.add_special_tokens)

    def _id(self, row: Row) -> str:
        return f"{row['id']}/{self.name}"
