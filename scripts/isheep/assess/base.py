"""What every assessor does, and the few things that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from isheep.data.rows import Row
from isheep.serving.engines.base import Completion, Request, Score, ScoreRequest

Result = Callable[[str], Completion | Score]
"""Gives the result of a finished request by its id (`Dispatcher.result`)."""


class Assessor(Protocol):
    """Adds columns to a row. Its requests have the ids `{row id}/{name}` or `{row id}/{name}/{part}`.

    `columns` are the names it adds, in their fixed order; the first is the score, whose column has the assessor's name.
    """

    @property
    def name(self) -> str:
        """Of the assessor and of its score's column."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names that it adds."""

    def completions(self, row: Row) -> Sequence[Request]:
        """Return the completions that the row needs."""

    def scorings(self, row: Row) -> Sequence[ScoreRequest]:
        """Return the continuations that the row needs scored."""

    def columns_of(self, row: Row, result: Result) -> dict[str, float | int | str | None]:
        """Return the columns of a row from the results of its requests; the score is None where there is none."""
