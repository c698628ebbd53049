"""Rows: JSON Lines files, one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from isheep.data.files import encode, publish
from isheep.errors import UserError

Row = dict[str, Any]


def read_rows(path: str | Path) -> Iterator[Row]:
    """Yield the rows of a JSON Lines file, one object a line.

    Raises
    ------
    UserError
        A line is not a JSON object; the message names file and line.
    """
    with open(path, encoding="utf-8-sig") as handle:
        for number, line in enumerate(handle, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"{path}:{number}: not a line of JSON ({error.msg}); mend or delete the line") from None
            if not isinstance(row, dict):
                raise UserError(f"{path}:{number}: expected a JSON object, found {type(row).__name__}")
            yield row


def write_rows(path: str | Path, rows: Iterable[Row]) -> int:
    """Write rows as JSON Lines, whole or not at all; return how many."""
    count = 0
    with publish(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as handle:
        for row in rows:
            handle.write(encode(row) + "\n")
            count += 1
    return count
