"""Stage assess_outputs: the settings made into assessors, and their results into evaluated rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from isheep.assess.base import Assessor, Panel, Result
from isheep.config.assess import Assess
from isheep.config.plain import PlainFormat
from isheep.data.funnel import Funnel, Sifted, Verdict
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.serving.addressee import Addressee
from isheep.serving.engines.base import Request, ScoreRequest, Template

STAGE = "assess_outputs"


def build(
    settings: Assess,
    template: Template,
    plain: PlainFormat | None,
    seed_for: Callable[[str], int],
    root: Path,
    fields: Iterable[str] = (),
) -> Panel:
    """Return the assessors of the settings, in their order, with the model that they ask.

    Parameters
    ----------
    settings
        Section `assess`.
    template
        The assessing model's chat template; its control tokens are broken in what is judged, whatever the format.
    plain
        None when the assessing model knows the template. Else the format of its outputs: the judge is then shown the
        rubric as plain text, and pmi scores outputs in this format.
    seed_for
        Gives the seed of a sampled request by its id.
    root
        Folder from which relative paths of rubrics count.
    fields
        Names that the rows have already; a column may not take one of them.

    Raises
    ------
    UserError
        A rubric file is missing or broken, or two columns would have one name.
    """
    for assessor in settings.assessors:
        assessor.check(root)
    _check_columns(settings.assessors, fields)
    return Panel(settings.assessors, Addressee(template, plain, seed_for, root))


def _check_columns(assessors: Sequence[Assessor], fields: Iterable[str]) -> None:
    counted = Counter([*fields, *(column for assessor in assessors for column in assessor.columns)])
    if twice := [column for column, number in counted.items() if number > 1]:
        raise UserError(f"assess.assessors: rows would have two columns named {', '.join(twice)}; rename the assessor")


def completions(rows: Iterable[Row], panel: Panel) -> Iterator[Request]:
    """Yield the texts to generate, row by row: the judges of a row are shown the same text up to their criterion."""
    return (request for row in rows for assessor in panel for request in assessor.completions(row, panel.model))


def scorings(rows: Iterable[Row], panel: Panel) -> Iterator[ScoreRequest]:
    """Yield the continuations to score, row by row."""
    return (request for row in rows for assessor in panel for request in assessor.scorings(row, panel.model))


def assess_rows(rows: Iterable[Row], assessors: Iterable[Assessor], result: Result, round_number: int) -> Sifted:
    """Return the rows with their scores; those that miss one are rejected by the rule `unscored_{assessor}`.

    Both kinds have every column, in the order of the assessors; a missing score is None (null).
    """
    return Sifted(Funnel(STAGE, round_number), _scored(rows, list(assessors), result))


def _scored(rows: Iterable[Row], assessors: Sequence[Assessor], result: Result) -> Iterator[Verdict]:
    for row in rows:
        columns: Row = {}
        for assessor in assessors:
            columns |= assessor.columns_of(row, result)
        unscored = (f"unscored_{assessor.name}" for assessor in assessors if columns[assessor.name] is None)
        yield {**row, **columns}, next(unscored, None)
