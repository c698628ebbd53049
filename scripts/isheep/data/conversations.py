"""Conversations: rows of chat and ShareGPT files, and the turns before the last question in rows of this project.

A row that goes on with a conversation has `history` beside instruction and input, which are its last question; other
rows have no such column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Turn = dict[str, str]
"""role (user or assistant) and content, as chat templates and the library datasets have it."""
Note = Callable[[str], None]
NAMES = {"user": "User", "assistant": "Assistant"}


@dataclass(frozen=True)
class Shape:
    """How rows of a format hold a conversation: under which key, who speaks, what is said, and the speakers' names."""

    key: str
    who: str
    text: str
    asks: tuple[str, ...]
    answers: tuple[str, ...]


CHAT = Shape("messages", "role", "content", ("user",), ("assistant",))
SHAREGPT = Shape("conversations", "from", "value", ("human", "user"), ("gpt", "assistant", "chatgpt", "bing", "bard"))


def read(row: Mapping[str, Any], shape: Shape, note: Note) -> list[Any] | None:
    """Return what is said in a row's conversation, user and assistant in turn; None after noting what is wrong.

    The texts themselves are not looked at.
    """
    turns = row.get(shape.key)
    asks, answers = shape.asks[0], shape.answers[0]
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        note(f"{shape.key} must be a list of objects; write [{{{shape.who!r}: {asks!r}, {shape.text!r}: '...'}}, ...]")
        return None
    speakers = [turn.get(shape.who) for turn in turns]
    if speakers[:1] == ["system"]:
        note("begins with a system message, which a row cannot hold; delete it, or set model.system")
        return None
    for place, speaker in enumerate(speakers):
        if speaker not in (shape.answers if place % 2 else shape.asks):
            note(f"turn {place + 1} of {shape.key} is by {speaker!r}; it must be {answers if place % 2 else asks!r}: "
                 "the two take turns, the user first")  # fmt: skip
            return None
    return [turn.get(shape.text) for turn in turns]


def turns(texts: Iterable[str]) -> list[Turn]:
    """Return texts as the turns of a conversation that the user begins."""
    return [{"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(texts)]


def history(row: Mapping[str, Any]) -> list[Turn]:
    """Return the turns before a row's instruction and input; they end with an answer."""
    return row.get("history") or []


def questions(row: Mapping[str, Any]) -> list[str]:
    """Return all that the user says in a row, one text a turn, the instruction last; of the last turn no input."""
    return [*(turn["content"] for turn in history(row) if turn["role"] == "user"), row["instruction"]]


def said(row: Mapping[str, Any]) -> str:
    """Return all that is said in a row before its output as one text that names no speakers; for rules to search."""
    return "\n\n".join([*(turn["content"] for turn in history(row)), row["instruction"], row["input"]])


def user_text(row: Mapping[str, Any]) -> str:
    """Return all that the user says in a row: prompts are likened by this text, since "Go on." alone says nothing."""
    return "\n\n".join(questions(row))


def transcript(turns: Sequence[Turn]) -> str:
    """Return a conversation as one text, each turn after its speaker's name, a blank line between two."""
    return "\n\n".join(f"{NAMES[turn['role']]}: {turn['content']}" for turn in turns)
