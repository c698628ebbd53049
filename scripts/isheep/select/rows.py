"""Stage select_data: which evaluated rows train the next model; kinds decide, funnel and floor are the same for all."""

from __future__ import annotations

from collections.abc import Iterable

from isheep.data.funnel import Funnel, Sifted
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.select.base import Selection


def select(rows: Iterable[Row], settings: Selection, round_number: int) -> Sifted:
    """Return the rows, in their order, with the reason to drop each.

    Parameters
    ----------
    rows
        Evaluated rows, walked twice: each has the score columns that the settings name.
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
    dropped = settings.dropped([{name: row[name] for name in ("id", *settings.columns)} for row in rows])
    if (kept := dropped.count(None)) < settings.floor:
        for rule in dropped:
            funnel.count(rule)
        raise UserError(
            f"{kept} rows selected, fewer than select.floor ({settings.floor}). {funnel.line()}. "
            "Make more prompts (prompts.rows), or choose another select.kind (quantile keeps a share)"
        )
    return Sifted(funnel, zip(rows, dropped, strict=True))
