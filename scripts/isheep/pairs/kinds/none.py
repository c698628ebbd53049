"""No pairs: rows train as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from isheep.assess.base import Result
from isheep.data.rows import Row
from isheep.pairs.base import Candidate, Decision, PairSource
from isheep.serving.addressee import Addressee

if TYPE_CHECKING:
    from isheep.config.run import Run


class NoPairs(PairSource):
    """Make no pairs: for supervised fine-tuning."""

    kind: Literal["none"] = "none"

    present: ClassVar[bool] = False
    fewest_samples: ClassVar[int] = 1

    def candidates(self, rows: Sequence[Row], run: Run) -> list[Candidate]:
        """Compare nothing."""
        return []

    def decide(self, candidates: Sequence[Candidate], model: Addressee, result: Result) -> list[Decision]:
        """Decide nothing."""
        return []
