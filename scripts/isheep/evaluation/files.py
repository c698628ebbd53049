"""Data files of benchmarks: read, checked row by row, with messages that name file and line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from isheep.data.files import read_json
from isheep.data.rows import Row, write_rows
from isheep.errors import UserError
from isheep.evaluation.base import Item


def load_items(path: Path, make: Callable[[str, Row], Item], limit: int | None = None) -> list[Item]:
    """Return the items that `make(place, row)` makes of a file's rows, at most `limit`.

    Raises
    ------
    UserError
        The file is missing, empty or broken, a row is not what `make` needs, or two items have one id.
    """
    return collect(path, (make(place, row) for place, row in read(path)), limit)


def collect(path: Path, items: Iterable[Item], limit: int | None = None) -> list[Item]:
    """Return the items as a list, at most `limit`; raise UserError when there are none or two share an id."""
    by_id: dict[str, Item] = {}
    for item in items:
        if item.id in by_id:
            raise UserError(f"{path}: two rows have the id {item.id!r}; ids must be unique")
        by_id[item.id] = item
    if not by_id:
        raise UserError(f"{path}: no rows")
    return list(by_id.values())[:limit]


def take(place: str, row: Row, key: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:
    """Return `row[key]`, checked to be of `kind`; `default`, when given, stands for a missing or null value."""
    value = row.get(key)
    if value is None:
        if default is not ...:
            return default
        raise UserError(f"{place}: the row has no {key!r}")
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        names = " or ".join(each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,)))
        raise UserError(f"{place}: {key!r} must be {names}, is {type(value).__name__}")
    return value


def strings(place: str, row: Row, key: str, default: Any = ...) -> list[str]:
    """Return `row[key]`, checked to be a list of strings."""
    value = take(place, row, key, list, default)
    if not all(isinstance(text, str) for text in value):
        raise UserError(f"{place}: {key!r} must be a list of strings")
    return value


def read(path: Path) -> Iterator[tuple[str, Row]]:
    """Yield (place, row) of a .jsonl, .jsonl.gz or .json (a list of objects) file; `place` is for messages.

    Raises
    ------
    UserError
        No such file, or not rows of JSON; the message names file and line.
    """
    path = Path(path)
    try:
        if path.suffix == ".json":
            yield from _listed(path)
        elif path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8") as handle:
                yield from _parsed(path, handle)
        else:
            with open(path, encoding="utf-8-sig") as handle:
                yield from _parsed(path, handle)
    except FileNotFoundError:
        raise missing(path) from None
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError, IsADirectoryError) as error:
        raise UserError(f"{path}: cannot be read ({error}); fetch the file again") from None


def missing(path: Path) -> UserError:
    """Return the error for a data file that is not there."""
    return UserError(f"{path}: no such file; correct the benchmark's `path`, or put the data there")


def _listed(path: Path) -> Iterator[tuple[str, Row]]:
    whole = read_json(path)
    if not isinstance(whole, list):
        raise UserError(f"{path}: expected a list of objects, found {type(whole).__name__}")
    for number, row in enumerate(whole):
        yield _checked(f"{path}[{number}]", row)


def _parsed(path: Path, lines: Iterable[str]) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            place = f"{path}:{number}"
            try:
                yield _checked(place, json.loads(line))
            except json.JSONDecodeError as error:
                raise UserError(f"{place}: not a line of JSON ({error.msg}); mend or delete the line") from None


def _checked(place: str, row: Any) -> tuple[str, Row]:
    if not isinstance(row, dict):
        raise UserError(f"{place}: expected a JSON object, found {type(row).__name__}")
    return place, row


def fetch(hub: str, subset: str | None, split: str, revision: str, path: str | Path) -> None:
    """Write the rows of a data set on the Hugging Face hub into a file.

    Parameters
    ----------
    hub, subset, split, revision
        Which data set, and what of it.
    path
        File to publish, JSON Lines.

    Raises
    ------
    UserError
        No such data set or part of it, no access to it, or no network.
    """
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    try:
        rows = load_dataset(hub, subset, split=split, revision=revision)
    except Exception as error:  # the library raises whatever its readers and its network do
        line = (str(error).strip().splitlines() or [""])[0][:200]
        raise UserError(
            f"{hub}: cannot be fetched from the hub ({type(error).__name__}: {line}); correct hub, subset, split or "
            "revision of the benchmark, or give a data file as `path`"
        ) from None
    write_rows(path, rows)
