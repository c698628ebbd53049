"""Rows: JSON Lines files, one object a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from isheep.data.files import encode, publish
from isheep.errors import UserError

Row = dict[str, Any]
Item = TypeVar("Item")


class Stream(Generic[Item]):
    """What can be walked again and again and is never held: `make` begins it anew each time."""

    def __init__(self, make: Callable[[], Iterable[Item]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Item]:
        return iter(self._make())

    def part(self, number: int, count: int) -> Stream[Item]:
        """Return every `count`-th item from `number` (from 0) on."""
        return Stream(lambda: islice(self, number, None, count))


class StoredRows(Stream[Row]):
    """The rows of a file, read anew each time that they are walked; of a part only its own lines are parsed."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(lambda: read_rows(path))
        self._path = path

    def part(self, number: int, count: int) -> Stream[Row]:
        """Return every `count`-th row from `number` (from 0) on."""
        return Stream(lambda: read_rows(self._path, number, count))


def read_rows(path: str | Path, first: int = 0, step: int = 1) -> Iterator[Row]:
    """Yield the rows of a JSON Lines file, one object a line.

    Parameters
    ----------
    path
        The file; blank lines are passed over.
    first, step
        Every `step`-th row from the `first` (from 0) on; the others are not parsed.

    Raises
    ------
    UserError
        A line is not a JSON object; the message names file and line.
    """
    with open(path, encoding="utf-8-sig") as handle:
        seen = 0
        for number, line in enumerate(handle, start=1):
            if line.isspace():
                continue
            seen += 1
            if (seen - 1 - first) % step:
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
    (count,) = write_parted([path], ((row, 0) for row in rows))
    return count


def write_parted(paths: Sequence[str | Path], rows: Iterable[tuple[Row, int]]) -> list[int]:
    """Write rows into several JSON Lines files, each row into the one of its number; return how many are in each.

    The files are whole, or none of them is there.
    """
    counts = [0] * len(paths)
    with ExitStack() as files:
        temporaries = [files.enter_context(publish(path)) for path in paths]
        with ExitStack() as opened:
            handles = [
                opened.enter_context(open(temporary, "w", encoding="utf-8", newline="\n")) for temporary in temporaries
            ]
            for row, number in rows:
                handles[number].write(encode(row) + "\n")
                counts[number] += 1
    return counts
