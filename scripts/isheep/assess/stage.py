"""Stage assess_outputs: the settings made into assessors, and their results into evaluated rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from isheep.assess.base import Assessor, Result
from isheep.assess.judge import JudgeAssessor
from isheep.assess.pmi import PmiAssessor
from isheep.assess.rubric import read_rubric
from isheep.config.stages import Assess, Judge, Plain
from isheep.data.funnel import Funnel
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.serving import chat
from isheep.serving.engines.base import Prompt, Request, Sampling, ScoreRequest, Template

STAGE = "assess_outputs"


def build(
    settings: Assess,
    template: Template,
    plain: Plain | None,
    seed_for: Callable[[str], int],
    root: Path,
    fields: Iterable[str] = (),
) -> list[Assessor]:
    """Return the assessors of the settings, in their order.

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
        Folder from which relative rubric paths count.
    fields
        Names that the rows have already; a column may not take one of them.

    Raises
    ------
    UserError
        A rubric file is missing or broken, or two columns would have one name.
    """
    tokens = tuple(template.control_tokens)

    def ask(text: str) -> Prompt:
        return template.render(chat.user(text)) if plain is None else Prompt(f"{text}\n", add_special_tokens=True)

    def task(instruction: str, input_text: str) -> Prompt:
        return chat.address(instruction, input_text, template, plain)

    assessors: list[Assessor] = []
    for each in settings.assessors:
        if isinstance(each, Judge):
            drawn = Sampling(each.sampling.temperature, each.sampling.top_p, each.sampling.max_tokens)
            rubric = read_rubric(root / each.rubric)
            assessors.append(JudgeAssessor(each.name, each.method, rubric, ask, tokens, drawn, seed_for))
        else:
            assessors.append(PmiAssessor(each.name, each.neutral, task, chat.seam(template, plain), tokens))
    _check_columns(assessors, fields)
    return assessors


def _check_columns(assessors: Sequence[Assessor], fields: Iterable[str]) -> None:
    counted = Counter([*fields, *(column for assessor in assessors for column in assessor.columns)])
    if twice := [column for column, number in counted.items() if number > 1]:
        raise UserError(f"assess.assessors: rows would have two columns named {', '.join(twice)}; rename the assessor")


def completions(rows: Iterable[Row], assessors: Sequence[Assessor]) -> list[Request]:
    """Return the texts to generate for all rows, one assessor after the other, so that a rubric's cache is shared."""
    rows = list(rows)
    return [request for assessor in assessors for row in rows for request in assessor.completions(row)]


def scorings(rows: Iterable[Row], assessors: Sequence[Assessor]) -> list[ScoreRequest]:
    """Return the continuations to score for all rows, one assessor after the other."""
    rows = list(rows)
    return [request for assessor in assessors for row in rows for request in assessor.scorings(row)]


def assess_rows(
    rows: Iterable[Row], assessors: Sequence[Assessor], result: Result, round_number: int
) -> tuple[list[Row], list[Row], Funnel]:
    """Return the rows that got all their scores, the others with the rule `unscored_{assessor}`, and the funnel.

    Both kinds have every column, in the order of the assessors; a missing score is None (null).
    """
    evaluated: list[Row] = []
    rejected: list[Row] = []
    funnel = Funnel(STAGE, round_number)
    for row in rows:
        columns: Row = {}
        for assessor in assessors:
            columns |= assessor.columns_of(row, result)
        rule = next((f"unscored_{assessor.name}" for assessor in assessors if columns[assessor.name] is None), None)
        funnel.count(rule)
        if rule is None:
            evaluated.append({**row, **columns})
        else:
            rejected.append({**row, **columns, "rule": rule})
    return evaluated, rejected, funnel
