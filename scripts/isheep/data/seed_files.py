"""What a seed file holds, whatever its format: values, each with the place where it stands.

JSON Lines, a JSON array, CSV and TSV are read with Python alone; Parquet and Arrow with pyarrow, which the light
environment lacks. The content tells the format, not the name.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from isheep.errors import UserError

HUB_ID = re.compile(r"(hf:/+(datasets/)?)?(?P<id>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)")
COLUMNS = frozenset(
    "id instruction input output context response prompt completion question answer messages conversations".split()
)
# First bytes of files that are no text: what they are, and what to do.
FOREIGN = {
    b"\x1f\x8b": "a gzip file; unpack it first (gunzip)",
    b"\x28\xb5\x2f\xfd": "a Zstandard file; unpack it first (unzstd)",
    b"PK\x03\x04": "a zip or Excel file; unpack it, or save the sheet as CSV",
    b"SQLite format 3": "an SQLite database; export the table as CSV",
    b"\xff\xfe": "saved in UTF-16; save the file in UTF-8",
    b"\xfe\xff": "saved in UTF-16; save the file in UTF-8",
}
# Tables, by their first bytes. What datasets writes is an Arrow stream.
TABLES = {b"PAR1": "Parquet file", b"ARROW1": "Arrow file", b"\xff\xff\xff\xff": "Arrow stream"}
CONVERT = "python -c \"import datasets; datasets.Dataset.from_{how}({name!r}).to_json('seeds.jsonl')\""
LOAD = "python -c \"import datasets; datasets.load_{how}({name!r}{split}).to_json('seeds.jsonl')\""
csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class Broken:
    """Stands for text that is no value; `position` is where it stops being so, in characters."""

    why: str
    position: int = 0


def read_values(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield (place, value) of everything in a seed file, a Broken where something cannot be read.

    A place is `file:line`, or `file: row N` (from 1) of a table without lines.

    Raises
    ------
    UserError
        The file is not there, or of a kind that is not read; one sentence with what to do.
    """
    if path.is_dir():
        _refuse_folder(path)
    data = _bytes(path)
    for start, kind in TABLES.items():
        if data.startswith(start):
            yield from _rows(path, _read_table(path, kind))
            return
    for start, what in FOREIGN.items():
        if data.startswith(start):
            raise UserError(f"{path}: {what}")
    for line, value in _parse(_text(data, path), path):
        yield f"{path}:{line}", value


def _rows(path: Path, rows: Iterator[Any]) -> Iterator[tuple[str, Any]]:
    for number, row in enumerate(rows, start=1):
        yield f"{path}: row {number}", row


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        hub = HUB_ID.fullmatch(str(path))
        if hub and path.suffix not in (".json", ".jsonl", ".csv", ".tsv", ".parquet") and not path.parent.is_dir():
            command = LOAD.format(how="dataset", name=hub["id"], split=", split='train'")
            raise UserError(
                f"{path}: no such file; if it is a data set on the hub, fetch it ({command}) and set seeds.path to "
                "seeds.jsonl"
            ) from None
        raise UserError(f"{path}: no such seed file; set seeds.path to an existing one") from None
    except OSError as error:
        raise UserError(f"{path}: cannot read the seed file ({error.strerror})") from None


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise UserError(f"{path}:{line}: byte 0x{byte:02x} is not UTF-8; save the file in UTF-8") from None


def _read_table(path: Path, kind: str) -> Iterator[Any]:
    try:
        from pyarrow import ArrowInvalid, ipc, memory_map, parquet
    except ImportError:
        command = CONVERT.format(how="parquet" if kind == "Parquet file" else "file", name=str(path))
        raise UserError(
            f"{path}: the {kind} needs pyarrow, which is not installed here; where it is: {command}"
        ) from None
    try:
        if kind == "Parquet file":
            yield from parquet.read_table(path).to_pylist()
            return
        with memory_map(str(path)) as source:
            opened = ipc.open_stream(source) if kind == "Arrow stream" else ipc.open_file(source)
            yield from opened.read_all().to_pylist()
    except (ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: a damaged {kind} ({str(error).splitlines()[0]})") from None


def _refuse_folder(path: Path) -> NoReturn:
    """Refuse a folder: the workflow knows its inputs by the content of files (one file: config/places.py finds it)."""
    if (path / "dataset_dict.json").is_file():
        splits = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        raise UserError(
            f"{path}: a folder of datasets with the splits {', '.join(splits)}; name one: {path / splits[0]}"
        )
    if (path / "state.json").is_file():
        command = LOAD.format(how="from_disk", name=str(path), split="")
        raise UserError(f"{path}: a folder of datasets with several files; write the tasks into one: {command}")
    raise UserError(f"{path}: cannot read the seed file: it is a folder; name a file in it")


def _parse(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (line, value) of every value that a text holds; a Broken where it is none."""
    start = _skip(text, 0)
    if text.startswith("[", start):
        return _parse_array(text, start)
    if delimiter := _delimiter(text):
        return _parse_table(text, delimiter)
    _refuse_one_object(text, path)
    return _parse_lines(text)


def _delimiter(text: str) -> str | None:
    """Return what separates the cells of a table whose first line names known columns; None for any other text."""
    first = text.lstrip("\r\n").partition("\n")[0].strip()
    for delimiter in ",\t;":
        names = {cell.strip(' "').lower() for cell in first.split(delimiter)}
        if len(names & COLUMNS) > 1:
            return delimiter
    return None


def _parse_table(text: str, delimiter: str) -> Iterator[tuple[int, Any]]:
    """Yield the rows of CSV, whose texts may hold line breaks; the line is a row's first."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            if not header:
                header = [cell.strip().lower() for cell in cells]
            elif len(cells) == len(header):
                yield line, dict(zip(header, cells, strict=True))
            elif cells:
                why = f"{len(cells)} cells under a header of {len(header)}; a text with {delimiter!r} goes in quotes"
                yield line, Broken(why)
            line = reader.line_num + 1
    except csv.Error as error:
        yield line, Broken(f"not CSV ({error}); mend or delete the row")


def _refuse_one_object(text: str, path: Path) -> None:
    """Refuse one object over several lines that holds the tasks in a list, as `{"data": [...]}`."""
    start = _skip(text, 0)
    if not text.startswith("{", start) or not isinstance(_decode(text.partition("\n")[0], start)[0], Broken):
        return
    whole, end = _decode(text, start)
    if isinstance(whole, dict) and _skip(text, end) == len(text):
        lists = [
            key for key, value in whole.items() if isinstance(value, list) and value and isinstance(value[0], dict)
        ]
        if lists:
            raise UserError(f"{path}: one JSON object whose key {lists[0]!r} holds the tasks; write that list alone")


def _parse_lines(text: str) -> Iterator[tuple[int, Any]]:
    # Not splitlines(): JSON strings may hold U+2028 and its like, which that would split at.
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            value, end = _decode(content, _skip(content, 0))
            if content[end:].strip():
                value = Broken(f"text after the JSON value, from column {end + 1}; write one task a line", end)
            yield line, value


def _parse_array(text: str, start: int) -> Iterator[tuple[int, Any]]:
    """Yield the elements of the array that begins at `start`; after the first broken one nothing can be told."""
    line, counted = 1, 0
    position = _skip(text, start + 1)
    while not text.startswith("]", position):
        value, end = _decode(text, position)
        at = value.position if isinstance(value, Broken) else position
        line, counted = line + text.count("\n", counted, at), at
        yield line, value
        if isinstance(value, Broken):
            return
        position = _skip(text, end)
        if text.startswith(",", position):
            position = _skip(text, position + 1)
        elif not text.startswith("]", position):
            line += text.count("\n", counted, position)
            yield line, Broken("expected a comma or the closing ] after this task; is the file cut short?", position)
            return
    rest = _skip(text, position + 1)
    if rest < len(text):
        yield line + text.count("\n", counted, rest), Broken("text after the closing ]; delete it", rest)


def _skip(text: str, position: int) -> int:
    """Return where the next character that is no JSON blank stands."""
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _decode(text: str, position: int) -> tuple[Any, int]:
    """Return the JSON value at `position` and where it ends; for broken JSON a Broken and the end of the text."""
    try:
        return json.JSONDecoder().raw_decode(text, position)
    except json.JSONDecodeError as error:
        at = error.pos
        why = f"not JSON ({error.msg} at column {error.colno}); mend or delete it"
        if text.startswith("\0", at):
            why = "holds a NUL character; delete it (is the file damaged?)"
    except (ValueError, RecursionError):
        at, why = position, "not a task (a number too long, or brackets too deep); mend or delete it"
    return Broken(why, at), len(text)
