"""What every pair source is: a section that says which two answers are compared, and which is the better."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from isheep.assess.base import Result
from isheep.config.section import Section
from isheep.data.rows import Row
from isheep.documents.rounds import AssessorCheck
from isheep.serving.addressee import Addressee
from isheep.serving.engines.base import ScoreRequest

if TYPE_CHECKING:
    from isheep.config.run import Run

LONE, IDENTICAL, TIE, SMALL = "lone_answer", "identical", "tie", "small_margin"


@dataclass(frozen=True)
class Candidate:
    """Answers to one prompt that may become a pair.

    Parameters
    ----------
    id
        Of the pair.
    answers
        Two rows with the same instruction and input; one where there is nothing to compare it with.
    """

    id: str
    answers: tuple[Row, ...]

    @property
    def rule(self) -> str | None:
        """Why it can be no pair, whoever compares; white space alone makes no two answers different."""
        texts = [" ".join(row["output"].split()) for row in self.answers]
        if len(texts) < 2:
            return LONE
        return IDENTICAL if texts[0] == texts[1] else None


@dataclass(frozen=True)
class Decision:
    """Which answer of a candidate is the better (0 or 1), or the rule by which none is; `told` becomes columns."""

    better: int | None
    rule: str | None = None
    told: Mapping[str, float | str | bool | None] = field(default_factory=dict)


class PairSource(Section):
    """Which answers of a round are put into pairs, chosen and rejected; what all sources share is in `pairs.rows`."""

    kind: str
    floor: int = Field(16, ge=1, description="Pairs that must be made; fewer stop the run with the funnel.")

    present: ClassVar[bool] = True  # whether a run with it has the stage
    fewest_samples: ClassVar[int] = 2  # answers to a prompt (`outputs.samples`) that it needs
    words: ClassVar[str] = ""  # how pairs are made, for the card of a data set

    @property
    def asks(self) -> Literal["base", "current", "judge"] | None:
        """Which model it asks about the answers; None when it asks none."""
        return None

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns of rows that it reads, besides instruction, input and output."""
        return ()

    @property
    def columns(self) -> Mapping[str, type]:
        """The columns that its decisions tell, with the type of their values."""
        return {}

    def files(self, run: Run) -> tuple[str, ...]:
        """Return the user's files that it reads."""
        return ()

    def check(self, root: Path) -> None:
        """Raise UserError when one of its files (relative to `root`) cannot be used."""

    def contradictions(self, run: Run) -> Iterator[str]:
        """Yield what of the run's other settings excludes it."""
        if run.outputs.samples < self.fewest_samples:
            yield (
                f"pairs.kind {self.kind} compares answers to one prompt: set outputs.samples to at least "
                f"{self.fewest_samples} (is {run.outputs.samples})"
            )

    @abstractmethod
    def candidates(self, rows: Sequence[Row], run: Run) -> list[Candidate]:
        """Return what may become pairs, in the order of the rows."""

    def scorings(self, candidates: Sequence[Candidate], model: Addressee) -> list[ScoreRequest]:
        """Return the continuations that the asked model is to score."""
        return []

    @abstractmethod
    def decide(self, candidates: Sequence[Candidate], model: Addressee, result: Result) -> list[Decision]:
        """Return for each candidate of two different answers which is the better."""

    def known(self, rows: Sequence[Row], seed: int) -> list[Candidate]:
        """Return pairs whose order is known, to try the source on; none where it asks no model.

        The better answer is the first of every other pair, and the second of the others.
        """
        return []

    def measure(
        self, known: Sequence[Candidate], candidates: Sequence[Candidate], model: Addressee, result: Result
    ) -> dict[str, AssessorCheck]:
        """Return by its name how well it tells the order of known pairs; nothing where it asks no model."""
        return {}


def by_prompt(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Yield each prompt's id with its answers, prompts in the order of their first answers."""
    answers: dict[str, list[Row]] = {}
    for row in rows:
        answers.setdefault(row["prompt_id"], []).append(row)
    yield from answers.items()
