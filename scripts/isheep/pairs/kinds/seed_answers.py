"""Pairs of people and model: the seed's answer to a task against the model's own (after SPIN, arXiv 2401.01335)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from isheep.assess.base import Result
from isheep.data.rows import Row
from isheep.data.seeds import read_seeds
from isheep.pairs.base import Candidate, Decision, PairSource
from isheep.serving.addressee import Addressee

if TYPE_CHECKING:
    from isheep.config.run import Run

EMPTY = "seed_without_answer"


class SeedAnswers(PairSource):
    """The seeds' answers preferred to the model's own."""

    kind: Literal["seed_answers"] = "seed_answers"

    fewest_samples: ClassVar[int] = 1
    words: ClassVar[str] = "the seed's answer against the model's own"

    @property
    def needs(self) -> tuple[str, ...]:
        """The seed that a prompt is."""
        return ("seeds",)

    def files(self, run: Run) -> tuple[str, ...]:
        """Return the seed file."""
        return (run.seeds.path,)

    def contradictions(self, run: Run) -> Iterator[str]:
        """Yield that prompts are not the seeds."""
        yield from super().contradictions(run)
        if run.prompts.kind != "seeds":
            yield "pairs.kind seed_answers needs the seeds for prompts: set prompts.kind: seeds"

    def candidates(self, rows: Sequence[Row], run: Run) -> list[Candidate]:
        """Return each own answer with the seed's before it, about which no engine can say how many tokens it has."""
        answers = {seed.id: seed.answer for seed in read_seeds(run.seeds.path)}
        found = []
        for row in rows:
            (seed,) = row["seeds"]
            ended = {"finish_reason": "stop", "stop_reason": None, "output_tokens": None}
            found.append(Candidate(row["id"], ({**row, **ended, "id": seed, "output": answers[seed]}, row)))
        return found

    def decide(self, candidates: Sequence[Candidate], model: Addressee, result: Result) -> list[Decision]:
        """Return the seed's answer wherever it has one."""
        has = (bool(candidate.answers[0]["output"].strip()) for candidate in candidates)
        return [Decision(0) if answered else Decision(None, EMPTY) for answered in has]
