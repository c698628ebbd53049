"""One row of a run, told whole: `python -m isheep.explain results/RUN ROW`.

Where it went through the stages, what it holds, the examples it was made from, and what the model was shown for its
answer, with the seed and the model. Nothing is asked again: the prompt is made anew from the settings, as its stage
made it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isheep.data.conversations import history, transcript
from isheep.data.rows import Row, read_rows
from isheep.errors import UserError, command
from isheep.report.page import UNPRINTABLE
from isheep.results import Run
from isheep.stages.table import table

TEXTS = ("instruction", "input", "output", "rejected")
Lines = Iterator[str]


def explain(run: Run, name: str) -> Lines:
    """Yield everything that is known of a row as lines of text.

    Parameters
    ----------
    run
        The run's folder.
    name
        The row's id, like `d0-000012-00`.

    Raises
    ------
    UserError
        No stage of the run has such a row.
    """
    trail = list(_trail(run, name))
    if not trail:
        raise UserError(f"{name}: no row of {run.name} has this id; ids stand on the cards of its report.html")
    i, _, last, _ = trail[-1]
    yield f"Row {name} of {run.name}, round d_{i}"
    yield from ("", "Its way")
    for _, stage, row, rejected in trail:
        yield f"  {stage}: {'rejected by the rule ' + str(row.get('rule')) if rejected else 'kept'}"
    if turns := history(last):
        yield from ("", "Earlier turns", *_indented(transcript(turns)))
    for text in TEXTS:
        if last.get(text):
            yield from ("", text.capitalize(), *_indented(str(last[text])))
    more = {key: value for key, value in last.items() if key not in (*TEXTS, "history")}
    yield from ("", "Everything else", *(f"  {key}: {_plain(value)}" for key, value in more.items()))
    yield from _examples(run, last)
    yield from _asked(run, i, trail)


def _trail(run: Run, name: str) -> Iterator[tuple[int, str, Row, bool]]:
    """Yield round, stage, row and whether it was rejected, in the order of the stages.

    An answer that is one of several has an id of its own (`ID/2`, `ID/s1`): before them it was its prompt.
    """
    ids = {name, *(name[:at] for at, letter in enumerate(name) if letter == "/")}
    for data in run.report.rounds:
        for stage, word in table().words.items():
            for rejected in (False, True):
                try:
                    file = run.file_of(data.i, word, rejected)
                except UserError:
                    continue
                rows = [row for row in read_rows(file) if row.get("id") in ids]
                whole = [row for row in rows if row["id"] == name]
                yield from ((data.i, stage, row, rejected) for row in whole or rows)


def _examples(run: Run, row: Row) -> Lines:
    """Yield the seeds that were shown when the prompt was written."""
    names = row.get("seeds") or []
    if not names:
        return
    yield from ("", f"Examples shown when the prompt was written: {', '.join(map(str, names))}")
    file = Path(run.settings["seeds"]["path"])
    place = next((path for path in (file, run.folder.parent.parent / file) if path.is_file()), None)
    if place is None or place.suffix != ".jsonl":
        yield f"  (their texts are in {file})"
        return
    known = {str(seed.get("id")): seed for seed in read_rows(place)}
    for name in names:
        if seed := known.get(str(name)):
            yield f"  {name}"
            yield from _indented(str(seed.get("instruction", "")), "    ")


def _asked(run: Run, i: int, trail: list[tuple[int, str, Row, bool]]) -> Lines:
    """Yield what was asked for the answer: prompt, draws, seed, model."""
    from isheep.config.run import Run as Settings
    from isheep.outputs.answers import requests
    from isheep.serving import engines
    from isheep.stages.generate_outputs import writer
    from isheep.workflow.graph import base_folder

    stages = [stage for _, stage, _, _ in trail]
    settings = Settings.model_validate(run.settings)
    model = writer(settings, i)
    if "generate_outputs" not in stages[1:] or model is None:
        return
    at = stages.index("generate_outputs")
    prompt_row, answered = trail[at - 1][2], trail[at][2]
    identity = run.report.models[model].identity
    yield from ("", f"Answered by iter_{model}" + (f", sha256 {identity}" if identity else ""))
    own, base = run.folder / f"iter_{model}" / "model", base_folder(settings.model)
    folder = own if own.is_dir() else Path(base) if base else None  # the base's template is its successors', too
    try:
        template = engines.load_template(settings.engine, settings.model, folder)
    except UserError as error:
        yield f"  what it was shown cannot be made anew: {error}"
        return
    plain = settings.plain_for(model)
    wanted = {**prompt_row, "id": answered.get("id", "").partition("/")[0]}
    (request,) = requests([wanted], settings.outputs, template, plain, settings.seed, i)
    prompt: Any = request.prompt
    yield f"  seed of the draw: {request.seed}, of the run: {settings.seed}"
    yield f"  sampling: {request.sampling}"
    yield from ("", "What it was shown", *_indented(prompt.text))


def _indented(text: str, space: str = "  ") -> Lines:
    return (f"{space}{line}" for line in text.splitlines() or [""])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@command
def main(arguments: list[str] | None = None) -> int:
    """Print a row's story; return 1, with a line that says what is wrong, when there is none."""
    parser = argparse.ArgumentParser(prog="python -m isheep.explain", description="Tell all of one row of a run.")
    parser.add_argument("folder", help="results/RUN")
    parser.add_argument("row", help="id of the row, as it stands on its card in report.html")
    given = parser.parse_args(arguments)
    for line in explain(Run(given.folder), given.row):
        print(UNPRINTABLE.sub("\ufffd", line))  # generated text must not steer a terminal
    return 0


if __name__ == "__main__":
    sys.exit(main())
