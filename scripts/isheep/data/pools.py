"""A pool of prompts from a file of any format that seeds may have: instruction (or prompt), and input (or context).

Of a conversation the last question is the prompt, and the turns before it are its history.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from isheep.data import conversations
from isheep.data.seed_files import Broken, read_values
from isheep.errors import Problems

Row = dict[str, Any]


def read_pool(path: str | Path) -> list[Row]:
    """Return the prompts of a file as rows {instruction, input}, in the file's order; other keys are ignored.

    A row that goes on with a conversation has `history` before them. An answer at a conversation's end is left out,
    like the outputs of other rows.

    Raises
    ------
    UserError
        The file cannot be read, holds nothing, or lists its problems, each with file and line.
    """
    problems = Problems(str(path))
    rows: list[Row] = []
    for place, value in read_values(Path(path)):
        instruction = (value.get("instruction") or value.get("prompt")) if isinstance(value, dict) else None
        shape = _shape(value)
        if isinstance(value, Broken):
            problems.add(place, value.why)
        elif shape is not None:
            rows.extend(_asked(value, shape, partial(problems.add, place)))
        elif not isinstance(instruction, str) or not instruction.strip():
            problems.add(place, 'no prompt; write {"instruction": "a text", "input": "a text, or nothing"}')
        else:
            rows.append({"instruction": instruction.strip(), "input": str(_input(value)).strip()})
    if not rows:
        problems.add(str(path), "holds no prompt")
    problems.raise_if_any()
    return rows


def _shape(value: Any) -> conversations.Shape | None:
    shapes = (conversations.CHAT, conversations.SHAREGPT)
    return next((shape for shape in shapes if isinstance(value, dict) and shape.key in value), None)


def _asked(value: Row, shape: conversations.Shape, note: conversations.Note) -> Iterator[Row]:
    """Yield the last question of a conversation; nothing after noting what is wrong."""
    texts = conversations.read(value, shape, note)
    if texts is None:
        return
    if wrong := next((n for n, text in enumerate(texts, 1) if not isinstance(text, str) or not text.strip()), None):
        note(f"turn {wrong} of {shape.key} is no text; write it, or end the conversation before it")
    elif not texts:
        note(f"{shape.key} has no turn; write one of {shape.asks[0]!r} at least")
    else:
        spoken = conversations.turns(text.strip() for text in texts[: len(texts) - 1 + len(texts) % 2])
        *before, last = spoken
        yield {**({"history": before} if before else {}), "instruction": last["content"], "input": ""}


def _input(value: Row) -> Any:
    return value.get("input") or value.get("context") or ""
