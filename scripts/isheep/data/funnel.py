"""How many rows a stage got and kept, and why the others went."""

from __future__ import annotations

from collections import Counter
from typing import cast

from isheep.documents.rounds import StageFunnel


class Funnel:
    """Counts of one stage in one round; what goes in comes out or is rejected by a named rule."""

    def __init__(self, stage: str, round_number: int) -> None:
        self.stage = stage
        self.round_number = round_number
        self.kept = 0
        self.counts: dict[str, int] = {}  # what else its record tells
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
