"""How many rows a stage got and kept, and why the others went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from isheep.data.rows import Row
from isheep.documents.rounds import StageFunnel


class Funnel:
    """Counts of one stage in one round; what goes in comes out or is rejected by a named rule."""

    def __init__(self, stage: str, round_number: int) -> None:
        self.stage = stage
        self.round_number = round_number
        self.kept = 0
        self.counts: Mapping[str, int] = {}  # what else its record tells
        self.rejected: Counter[str] = Counter()

    def count(self, rule: str | None) -> None:
        """Count one row: kept when `rule` is None, else rejected by that rule."""
        if rule is None:
            self.kept += 1
        else:
            self.rejected[rule] += 1

    def keep(self, rows: int) -> None:
        """Count that many rows as kept, where no rule drops any."""
        self.kept += rows

    def line(self) -> str:
        """Return the funnel in one line, the commonest reasons first."""
        reasons = ", ".join(f"{count:,} {rule}" for rule, count in self._ranked())
        text = f"{self.stage} kept {self.kept:,} of {self.kept + self.rejected.total():,} rows"
        return f"{text}: {reasons}" if reasons else text

    def record(self, rows: int, rejected: int) -> StageFunnel:
        """Return the funnel as a JSON value, checked against the rows that were really written.

        Raises
        ------
        RuntimeError
            Rows in are not rows out plus rows rejected: a row was lost or written twice.
        """
        if rows != self.kept or rejected != self.rejected.total():
            raise RuntimeError(f"{self.stage}: wrote {rows} + {rejected} rows, but counted {self.line()}")
        counted = {
            "stage": self.stage,
            "round": self.round_number,
            "rows_in": rows + rejected,
            "rows_out": rows,
            "rejected": dict(self._ranked()),
            **self.counts,
        }
        return cast(StageFunnel, counted)

    def _ranked(self) -> list[tuple[str, int]]:
        return sorted(self.rejected.items(), key=lambda item: (-item[1], item[0]))


Verdict = tuple[Row, str | None]
"""A row, and the rule that rejects it; None when it is kept."""


class Sifted:
    """The rows of a stage, each kept or rejected by a rule: walked once, counted as they pass, never held.

    Parameters
    ----------
    funnel
        Counts them.
    verdicts
        The rows in order. A rejected one goes on with its rule in the column `rule`.
    """

    def __init__(self, funnel: Funnel, verdicts: Iterable[Verdict]) -> None:
        self.funnel = funnel
        self._verdicts = verdicts

    def __iter__(self) -> Iterator[Verdict]:
        for row, rule in self._verdicts:
            self.funnel.count(rule)
            yield (row if rule is None else {**row, "rule": rule}), rule

    def parted(self) -> tuple[list[Row], list[Row], Funnel]:
        """Return the rows that are kept, those that are rejected, and the funnel: all in memory."""
        kept: list[Row] = []
        rejected: list[Row] = []
        for row, rule in self:
            (kept if rule is None else rejected).append(row)
        return kept, rejected, self.funnel
