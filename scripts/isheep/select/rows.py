"""Stage select_data: which evaluated rows train the next model."""

from __future__ import annotations

from collections.abc import Sequence

from isheep.config.stages import KeepAll, Quantile, Threshold, TopK
from isheep.data.funnel import Funnel
from isheep.data.rows import Row
from isheep.errors import UserError


def select(
    rows: Sequence[Row], settings: Threshold | Quantile | TopK | KeepAll, round_number: int
) -> tuple[list[Row], list[Row], Funnel]:
    """Return the rows that are kept and rejected, both in file order, and the funnel.

    Parameters
    ----------
    rows
        Evaluated rows: each has the score columns that the settings name.
    settings
        Section `select`. `threshold` keeps rows strictly above every value (paper: both scores > 8); `quantile` and
        `top_k` keep the best by one column, the earlier row first when scores are equal.
    round_number
        For the funnel.

    Raises
    ------
    UserError
        Fewer rows than the floor are left: training on them would only look like training.
    """
    dropped = _dropped(rows, settings)
    funnel = Funnel("select_data", round_number)
    kept: list[Row] = []
    rejected: list[Row] = []
    for row, rule in zip(rows, dropped, strict=True):
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


def _dropped(rows: Sequence[Row], settings: Threshold | Quantile | TopK | KeepAll) -> list[str | None]:
    """Return for each row the reason to drop it, or None."""
    if isinstance(settings, KeepAll):
        return [None] * len(rows)
    if isinstance(settings, Threshold):
        return [
            next((f"{column}_too_low" for column, least in settings.above.items() if not row[column] > least), None)
            for row in rows
        ]
    best = sorted(range(len(rows)), key=lambda index: (-rows[index][settings.column], index))
    count = settings.k if isinstance(settings, TopK) else round(settings.share * len(rows))
    chosen = set(best[:count])
    return [None if index in chosen else f"{settings.column}_too_low" for index in range(len(rows))]
