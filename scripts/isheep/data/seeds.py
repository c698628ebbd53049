"""Seed tasks: rows of any of the formats that people have, or everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isheep.data.seed_files import Broken, read_values
from isheep.errors import Problems

# How Alpaca-style and Self-Instruct-style files write "this task has no input".
NO_INPUT = frozenset({"", "<noinput>", "noinput"})
Row = dict[str, Any]


@dataclass(frozen=True)
class Seed:
    """One seed task; `input` is empty when the instruction needs none."""

    id: str
    instruction: str
    input: str
    output: str


def read_seeds(path: str | Path) -> list[Seed]:
    """Return the seed tasks of a file, in the file's order.

    Formats are told by the content: see `FORMATS` for the rows, `seed_files` for the files. Other keys are ignored. Ids
    that no row has are made from the format and the position: "alpaca-00001".

    Raises
    ------
    UserError
        The file cannot be read, or lists its problems, each with file and line.
    """
    problems = Problems(str(path))
    values = list(read_values(Path(path)))
    rows = [value for _, value in values if isinstance(value, dict)]
    shape = next((shape for row in rows for shape in FORMATS if shape.fits(row)), None)
    if rows and shape is None:
        problems.add(str(path), _unknown(rows[0]))
        problems.raise_if_any()
    made_ids = not any(row.get("id") is not None for row in rows)
    seen: dict[str | tuple[str, str], str] = {}
    seeds = []
    for number, (place, value) in enumerate(values, start=1):
        if isinstance(value, Broken):
            problems.add(place, value.why)
        elif not isinstance(value, dict) or shape is None:
            problems.add(place, f"expected a JSON object, found {_kind(value)}; write one task as {{...}}")
        else:
            row = {**value, "id": f"{shape.name}-{number:05d}"} if made_ids else value
            if seed := _seed(row, shape, place, problems):
                _note_repeats(seed, place, seen, problems)
                seeds.append(seed)
    if not values:
        problems.add(str(path), "holds no seed task; write one JSON object a line (config/seeds/README.md)")
    problems.raise_if_any()
    return seeds


# Rows ----------------------------------------------------------------------------------------------------------------

Note = Callable[[str], None]


@dataclass(frozen=True)
class Format:
    """Rows of one shape: the keys that tell it, and how a row becomes instruction, input and output.

    `read` returns None after noting what is wrong.
    """

    name: str
    keys: tuple[str, ...]
    read: Callable[[Row, Note], Row | None]

    def fits(self, row: Row) -> bool:
        """Return whether a row has this shape."""
        return all(key in row for key in self.keys)


def _renamed(**names: str) -> Callable[[Row, Note], Row]:
    """Read rows whose keys have other names."""

    def read(row: Row, note: Note) -> Row:
        renamed = {ours: row[theirs] for ours, theirs in names.items() if theirs in row}
        missing = [theirs for ours, theirs in names.items() if theirs not in row and ours != "input"]
        for key in missing:
            note(f"the key {key!r} is missing")
        return renamed

    return read


def _first_instance(row: Row, note: Note) -> Row | None:
    instances = row.get("instances")
    if "instances" not in row:
        return _renamed(instruction="instruction", input="input", output="output")(row, note)
    if isinstance(instances, list) and instances and isinstance(instances[0], dict):
        return _renamed(instruction="instruction", input="input", output="output")(
            {"instruction": row.get("instruction"), **instances[0]}, note
        )
    note('instances must be a list of objects; write [{"input": "...", "output": "..."}]')
    return None


def _turns(key: str, who: str, text: str, asks: tuple[str, ...], answers: tuple[str, ...]) -> Any:
    """Read conversations: the first question is the task, the first answer its output; later turns are ignored."""

    def read(row: Row, note: Note) -> Row | None:
        turns = row.get(key)
        if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
            note(f"{key} must be a list of objects; write [{{{who!r}: {asks[0]!r}, {text!r}: '...'}}, ...]")
            return None
        speakers = [turn.get(who) for turn in turns]
        if "system" in speakers:
            note("begins with a system message, which a seed task cannot hold; delete it, or set model.system")
            return None
        if len(turns) < 2 or speakers[0] not in asks or speakers[1] not in answers:
            note(f"{key} must begin with a turn of {asks[0]!r} and one of {answers[0]!r}, begins with {speakers[:2]}")
            return None
        return {"instruction": turns[0].get(text), "output": turns[1].get(text)}

    return read


FORMATS = (
    Format("chat", ("messages",), _turns("messages", "role", "content", ("user",), ("assistant",))),
    Format(
        "sharegpt",
        ("conversations",),
        _turns("conversations", "from", "value", ("human", "user"), ("gpt", "assistant", "chatgpt", "bing", "bard")),
    ),
    Format("self-instruct", ("instruction", "instances"), _first_instance),
    Format("alpaca", ("instruction", "output"), _first_instance),
    Format(
        "dolly", ("instruction", "response"), _renamed(instruction="instruction", input="context", output="response")
    ),
    Format("prompt", ("prompt", "completion"), _renamed(instruction="prompt", output="completion")),
)


def _unknown(row: Row) -> str:
    keys = ", ".join(str(key) for key in list(row)[:10]) or "none"
    return (
        f"rows of no known format (their keys: {keys}); rename them to instruction, input and output, or see "
        "config/seeds/README.md for the formats that are read"
    )


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _seed(row: Row, shape: Format, place: str, problems: Problems) -> Seed | None:
    """Return the seed task of one row, or None after noting what is wrong with it."""
    before = len(problems.found)
    answered = shape.read(row, lambda what: problems.add(place, what))
    number = row.get("id")
    if isinstance(number, int) and not isinstance(number, bool):
        row = {**row, "id": str(number)}
    texts = {"id": _field(row, "id", place, problems)}
    if answered is not None:
        answered = {**answered, "input": "" if answered.get("input") is None else answered["input"]}
        texts |= {key: _field(answered, key, place, problems) for key in answered}
    for key in ("id", "instruction"):
        text = texts.get(key)
        if text is not None and not text.strip():
            problems.add(place, f"{key} is empty; write one or delete the task")
    if len(problems.found) > before:
        return None
    id, instruction, input, output = (texts[key] or "" for key in ("id", "instruction", "input", "output"))
    return Seed(id, instruction.strip(), "" if input.strip().lower() in NO_INPUT else input, output)


def _field(row: Row, key: str, place: str, problems: Problems) -> str | None:
    if key not in row:
        problems.add(place, f"the key {key!r} is missing")
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
