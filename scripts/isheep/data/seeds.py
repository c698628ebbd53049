"""Seed tasks: rows of any of the formats that people have, or everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isheep.data import conversations
from isheep.data.seed_files import Broken, read_values
from isheep.errors import Problems

# How Alpaca-style and Self-Instruct-style files write "this task has no input".
NO_INPUT = frozenset({"", "<noinput>", "noinput"})
Row = dict[str, Any]


@dataclass(frozen=True)
class Seed:
    """One seed task; `input` is empty when the instruction needs none.

    Of a conversation it is the first question and its answer, which need nothing before them; `later` are the questions
    and answers that follow.
    """

    id: str
    instruction: str
    input: str
    output: str
    later: tuple[tuple[str, str], ...] = ()

    def prompt(self) -> Row:
        """Return the last question as a row's columns: instruction and input, before them `history` where it has some.

        A conversation has no input.
        """
        if not self.later:
            return {"instruction": self.instruction, "input": self.input}
        *before, (question, _) = [(self.instruction, self.output), *self.later]
        spoken = conversations.turns(text for pair in before for text in pair)
        return {"history": spoken, "instruction": question, "input": ""}

    @property
    def answer(self) -> str:
        """The answer to the last question."""
        return self.later[-1][1] if self.later else self.output


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
    seen: dict[str | tuple[str, ...], str] = {}
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


def _conversation(shape: conversations.Shape) -> Callable[[Row, Note], Row | None]:
    """Read conversations: the first question is the task, the first answer its output, the others `later`."""

    def read(row: Row, note: Note) -> Row | None:
        texts = conversations.read(row, shape, note)
        if texts is None:
            return None
        if len(texts) < 2:
            note(f"{shape.key} must begin with a turn of {shape.asks[0]!r} and one of {shape.answers[0]!r}")
            return None
        return {"instruction": texts[0], "output": texts[1], "later": texts[2:]}

    return read


FORMATS = (
    Format("chat", (conversations.CHAT.key,), _conversation(conversations.CHAT)),
    Format("sharegpt", (conversations.SHAREGPT.key,), _conversation(conversations.SHAREGPT)),
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
    later: list[str] = []
    if answered is not None:
        later = _later(answered.pop("later", []), place, problems)
        answered = {**answered, "input": "" if answered.get("input") is None else answered["input"]}
        texts |= {key: _field(answered, key, place, problems) for key in answered}
    for key in ("id", "instruction"):
        text = texts.get(key)
        if text is not None and not text.strip():
            problems.add(place, f"{key} is empty; write one or delete the task")
    if len(problems.found) > before:
        return None
    id, instruction, input, output = (texts[key] or "" for key in ("id", "instruction", "input", "output"))
    input = "" if input.strip().lower() in NO_INPUT else input
    return Seed(id, instruction.strip(), input, output, tuple(zip(later[::2], later[1::2], strict=False)))


def _later(texts: list[Any], place: str, problems: Problems) -> list[str]:
    """Return the texts of the third turn of a conversation and those after it, what is wrong with one noted."""
    named = {f"turn {number}": text for number, text in enumerate(texts, start=3)}
    checked = {name: _field(named, name, place, problems) for name in named}
    for name, text in checked.items():
        if text is not None and not text.strip():
            problems.add(place, f"{name} is empty; write it, or end the conversation before it")
    return [(text or "").strip() for text in checked.values()]


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


def _note_repeats(seed: Seed, place: str, seen: dict[str | tuple[str, ...], str], problems: Problems) -> None:
    """Note an id that came before, and a task that did: same instruction on the same input, blanks and case aside.

    Two conversations may begin alike, if they do not go on alike.
    """
    task = (_fold(seed.instruction), _fold(seed.input), *(_fold(question) for question, _ in seed.later))
    if seed.id in seen:
        problems.add(place, f"the id {seed.id!r} is also at {seen[seed.id]}; give it another")
    if task in seen:
        problems.add(place, f"the same instruction and input as at {seen[task]}; delete one of them")
    seen.setdefault(seed.id, place)
    seen.setdefault(task, place)


def _fold(text: str) -> str:
    return " ".join(text.split()).casefold()
