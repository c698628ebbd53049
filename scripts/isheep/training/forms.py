"""Several forms of asking the same: each trained row draws one (Self-Instruct, arXiv 2212.10560, has 7 and 6)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from isheep.config.train import Train
from isheep.data.entries import read_entries
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.runner.dispatch import draw_seed

INSTRUCTION, INPUT = "{instruction}", "{input}"


def read_forms(path: str | Path) -> dict[bool, list[str]]:
    """Return the forms of a file, by whether they are for a task with an input.

    Raises
    ------
    UserError
        It is no YAML list of {form}, a form lacks {instruction}, or all are of one kind.
    """
    forms: dict[bool, list[str]] = {True: [], False: []}
    for number, entry in enumerate(read_entries(path, ("form",), "train.forms"), start=1):
        form = entry["form"]
        if form.count(INSTRUCTION) != 1 or form.count(INPUT) > 1:
            raise UserError(f"{path}: entry {number}: a form holds {INSTRUCTION} once, and {INPUT} once or not at all")
        forms[INPUT in form].append(form)
    if not all(forms.values()):
        raise UserError(f"{path}: needs forms with {INPUT} and forms without it")
    return forms


def asked(rows: Iterable[Row], settings: Train, seed: int) -> Iterator[Row]:
    """Yield rows as they are trained: with `asked`, the user's message, where the settings name forms.

    Parameters
    ----------
    rows
        id, instruction, input.
    settings
        Section `train`.
    seed
        The run's; which form a row draws follows from it and the row's id.
    """
    if settings.forms is None:
        yield from rows
        return
    forms = read_forms(settings.forms)
    for row in rows:
        draw = random.Random(draw_seed(seed, "train_adapter", 0, f"{row['id']}/form"))
        form = draw.choice(forms[bool(row["input"].strip())])
        before, _, after = form.partition(INSTRUCTION)
        # Not one after the other: an instruction may hold the words {input}.
        parts = (part.replace(INPUT, row["input"]) for part in (before, after))
        yield {**row, "asked": row["instruction"].join(parts)}
