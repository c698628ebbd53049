"""Seed tasks: read a seed file in any of three formats, or list everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isheep.errors import Problems, UserError

# How Alpaca-style and Self-Instruct-style files write "this task has no input".
NO_INPUT = frozenset({"", "<noinput>", "noinput"})


@dataclass(frozen=True)
class Seed:
    """One seed task; `input` is empty when the instruction needs none."""

    id: str
    instruction: str
    input: str
    output: str


def read_seeds(path: str | Path) -> list[Seed]:
    """Return the seed tasks of a file, in the file's order.

    The format is told by the content, not by the name: JSON Lines with `id`, `instruction`, `input` and `output`
    (this project's); JSON Lines with `id`, `instruction` and `instances`, of which the first counts (Self-Instruct's);
    a JSON array, or JSON Lines, of `instruction`, `input` and `output` without ids (Alpaca's), whose ids are made
    from the position: "alpaca-00001". Other keys are ignored.

    Raises
    ------
    UserError
        The file cannot be read, or lists all its problems, each with file and line.
    """
    problems = Problems(str(path))
    values = list(_parse(_text(path)))
    made_ids = not any(isinstance(value, dict) and "id" in value for _, value in values)
    seen: dict[str | tuple[str, str], str] = {}
    seeds = []
    for number, (line, value) in enumerate(values, start=1):
        place = f"{path}:{line}"
        if isinstance(value, Broken):
            problems.add(place, value.why)
        elif not isinstance(value, dict):
            problems.add(place, f"expected a JSON object, found {_kind(value)}; write one task as {{...}}")
        elif seed := _seed({**value, "id": f"alpaca-{number:05d}"} if made_ids else value, place, problems):
            _note_repeats(seed, place, seen, problems)
            seeds.append(seed)
    if not values:
        problems.add(str(path), "holds no seed task; write one JSON object a line (config/seeds/README.md)")
    problems.raise_if_any()
    return seeds


def _text(path: str | Path) -> str:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such seed file; set seeds.path to an existing one") from None
    except OSError as error:
        raise UserError(f"{path}: cannot read the seed file ({error.strerror})") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise UserError(f"{path}:{line}: byte 0x{byte:02x} is not UTF-8; save the file in UTF-8") from None


@dataclass(frozen=True)
class Broken:
    """Stands for text that is not JSON; `position` is where it stops being so, in characters."""

    why: str
    position: int


def _parse(text: str) -> Iterator[tuple[int, Any]]:
    """Yield (line, value) of every JSON value that a seed file holds; a Broken where it is no JSON."""
    start = _skip(text, 0)
    return _parse_array(text, start) if text.startswith("[", start) else _parse_lines(text)


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


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _seed(row: dict[str, Any], place: str, problems: Problems) -> Seed | None:
    """Return the seed task of one row, or None after noting what is wrong with it."""
    before = len(problems.found)
    answered = _first_instance(row, place, problems) if "instances" in row else row
    id, instruction = (_field(row, key, place, problems) for key in ("id", "instruction"))
    input, output = (
        (_field(answered, key, place, problems) for key in ("input", "output")) if answered is not None else ("", "")
    )
    for key, text in (("id", id), ("instruction", instruction)):
        if text is not None and not text.strip():
            problems.add(place, f"{key} is empty; write one or delete the task")
    if len(problems.found) > before or id is None or instruction is None or input is None or output is None:
        return None
    return Seed(id, instruction.strip(), "" if input.strip().lower() in NO_INPUT else input, output)


def _first_instance(row: dict[str, Any], place: str, problems: Problems) -> dict[str, Any] | None:
    instances = row["instances"]
    if isinstance(instances, list) and instances and isinstance(instances[0], dict):
        return instances[0]
    problems.add(place, 'instances must be a list of objects; write [{"input": "...", "output": "..."}]')
    return None


def _field(row: dict[str, Any], key: str, place: str, problems: Problems) -> str | None:
    if key not in row:
        hint = '; write "input": "" when the task has none' if key == "input" else ""
        problems.add(place, f"the key {key!r} is missing{hint}")
        return None
    text = row[key]
    if not isinstance(text, str):
        problems.add(place, f'{key} must be a string, is {_kind(text)}; write it in "double quotes"')
        return None
    if "\0" in text:
        problems.add(place, f"{key} holds a NUL character (\\u0000); delete it")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = f"\\u{ord(text[error.start]):04x}"
        problems.add(place, f"{key} holds half a character (lone surrogate {code}); delete it or write the whole one")
    return text


def _note_repeats(seed: Seed, place: str, seen: dict[str | tuple[str, str], str], problems: Problems) -> None:
    """Note an id that came before, and a task that did: same instruction on the same input, blanks and case aside."""
    task = (_fold(seed.instruction), _fold(seed.input))
    if seed.id in seen:
        problems.add(place, f"the id {seed.id!r} is also at {seen[seed.id]}; give it another")
    if task in seen:
        problems.add(place, f"the same instruction and input as at {seen[task]}; delete one of them")
    seen.setdefault(seed.id, place)
    seen.setdefault(task, place)


def _fold(text: str) -> str:
    return " ".join(text.split()).casefold()
