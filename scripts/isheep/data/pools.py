"""A pool of prompts from a file of any format that seeds may have: instruction (or prompt), and input (or context)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isheep.data.seed_files import Broken, read_values
from isheep.errors import Problems

Row = dict[str, Any]


def read_pool(path: str | Path) -> list[Row]:
    """Return the prompts of a file as rows {instruction, input}, in the file's order; other keys are ignored.

    Raises
    ------
    UserError
        The file cannot be read, holds nothing, or lists its problems, each with file and line.
    """
    problems, rows = Problems(str(path)), []
    for place, value in read_values(Path(path)):
        instruction = (value.get("instruction") or value.get("prompt")) if isinstance(value, dict) else None
        if isinstance(value, Broken):
            problems.add(place, value.why)
        elif not isinstance(instruction, str) or not instruction.strip():
            problems.add(place, 'no prompt; write {"instruction": "a text", "input": "a text, or nothing"}')
        else:
            rows.append({"instruction": instruction.strip(), "input": str(_input(value)).strip()})
    if not rows:
        problems.add(str(path), "holds no prompt")
    problems.raise_if_any()
    return rows


def _input(value: Row) -> Any:
    return value.get("input") or value.get("context") or ""
