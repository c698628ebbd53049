"""Rows that a stage makes before it knows all of them: put down on disk, read back by their places."""

from __future__ import annotations

import json
import tempfile
from abc import abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, overload

from isheep.data.files import encode
from isheep.data.rows import Row

IN_MEMORY = 16 * 2**20  # bytes; more lies in a file without a name, in the folder for temporary ones ($TMPDIR)


class _ByPlace(Sequence[Row]):
    """Rows that are read one by one, by their places."""

    @abstractmethod
    def row(self, place: int) -> Row:
        """Return the row at a place from the beginning."""

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Row]: ...
    def __getitem__(self, place: Any) -> Any:
        """Return a row, or the rows of a slice in memory."""
        if isinstance(place, slice):
            return [self.row(each) for each in range(len(self))[place]]
        return self.row(range(len(self))[place])  # raises IndexError, counts from the end


class Spool(_ByPlace):
    """A growing list of rows that holds the place of each row only, eight bytes."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - as long as this object
        self._starts = array("q", [0])

    def append(self, row: Row) -> None:
        """Put a row behind the others."""
        line = encode(row).encode() + b"\n"
        self._file.seek(self._starts[-1])
        self._file.write(line)
        self._starts.append(self._starts[-1] + len(line))

    def so_far(self) -> Sequence[Row]:
        """Return the rows that there are now, whatever is put behind them later."""
        return _First(self, len(self))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def row(self, place: int) -> Row:
        """Return the row at a place from the beginning."""
        self._file.seek(self._starts[place])
        return json.loads(self._file.read(self._starts[place + 1] - self._starts[place]))

    def __iter__(self) -> Iterator[Row]:
        return map(self.row, range(len(self)))


class _First(_ByPlace):
    """The first rows of a spool."""

    def __init__(self, rows: Spool, count: int) -> None:
        self._rows = rows
        self._count = count

    def __len__(self) -> int:
        return self._count

    def row(self, place: int) -> Row:
        """Return the row at a place from the beginning."""
        return self._rows.row(place)
