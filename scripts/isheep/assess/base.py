"""What every assessor is: a section that turns a row into requests, and their results into columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from isheep.config.section import Section
from isheep.data.rows import Row
from isheep.serving.addressee import Addressee
from isheep.serving.engines.base import Completion, Request, Score, ScoreRequest

NAME = r"^[a-z][a-z0-9_]*$"
STEPS = 10
Result = Callable[[str], Completion | Score]
"""Gives the result of a finished request by its id (`Dispatcher.result`)."""
Columns = dict[str, float | int | str | None]


@dataclass(frozen=True)
class Scale:
    """The range of a score whose ends mean the worst and the best, in ten steps."""

    lowest: float
    highest: float

    @property
    def step(self) -> float:
        """From one step to the next: 1 on a scale from 1 to 10."""
        return (self.highest - self.lowest) / (STEPS - 1)

    @property
    def edges(self) -> list[float]:
        """Eleven edges of ten bins, the steps in their middles."""
        return [self.lowest + (number - 0.5) * self.step for number in range(STEPS + 1)]


class Assessor(Section):
    """Adds columns to a row. Its requests have the ids `{row id}/{name}` or `{row id}/{name}/{part}`."""

    kind: str
    name: str
    scale: ClassVar[Scale | None] = None  # of its score; None when it has no ends
    judges: ClassVar[bool] = True  # whether a higher score says a better answer

    @property
    def columns(self) -> tuple[str, ...]:
        """The names it adds, in their fixed order; the first is the score, whose column has the assessor's name."""
        return (self.name,)

    @property
    def files(self) -> tuple[str, ...]:
        """The user's files that it reads."""
        return ()

    def check(self, root: Path) -> None:
        """Raise UserError when one of its files (relative to `root`) cannot be used."""

    def completions(self, row: Row, model: Addressee) -> Sequence[Request]:
        """Return the completions that the row needs from the assessing model."""
        return ()

    def scorings(self, row: Row, model: Addressee) -> Sequence[ScoreRequest]:
        """Return the continuations that the row needs scored by the assessing model."""
        return ()

    @abstractmethod
    def columns_of(self, row: Row, result: Result) -> Columns:
        """Return the columns of a row from the results of its requests; the score is None where there is none."""


@dataclass(frozen=True)
class Panel:
    """The assessors of a round, and the model that all of them ask."""

    assessors: Sequence[Assessor]
    model: Addressee

    def __iter__(self) -> Iterator[Assessor]:
        return iter(self.assessors)
