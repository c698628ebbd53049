"""Stage select_data: which evaluated rows train the next model; kinds decide, funnel and floor are the same for all."""

from __future__ import annotations

from collections.abc import Sequence

from isheep.data.funnel import Funnel
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.select.base import Selection


def select(rows: Sequence[Row], settings: Selection, round_number: int) -> tuple[list[Row], list[Row], Funnel]:
    """Return the rows that are kept and rejected, both in file order, and the funnel.

    Parameters
    ----------
    rows
        Evaluated rows: each has the score columns that the settings name.
    settings
        Section `select`.
    round_number
        For the funnel.

    Raises
    ------
    UserError
        Fewer rows than the floor are left: training on them would only look like training.
    """
    funnel = Funnel("select_data", round_number)
    kept: list[Row] = []
    rejected: list[Row] = []
    for row, rule in zip(rows, settings.dropped(rows), strict=True):
        funnel.count(rule)
        if rule is None:
            kept.append(row)
        else:
            rejected.append({**row, "rule": rule})
    if len(kept) < settings.floor:
        raise UserError(
            f"{len(kept)} rows selected, fewer than select.floor ({settings.floor}). {funnel.line()}. "
            "Make more prompts (prompts.rows), or choose another select.kind (quantile keeps a share)"
        )
    return kept, rejected, funnel
