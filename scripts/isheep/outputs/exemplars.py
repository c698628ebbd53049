"""Principles and answered examples that a base model is shown, and what of the examples an answer must not repeat.

After Dromedary (Sun et al. 2023, arXiv 2305.03047, stage 2): rules, examples with the thoughts behind them, and a list
of what leaks from these. There the list is kept by hand; here it follows from the examples, so that it cannot go stale.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from isheep.data.entries import read_entries
from isheep.data.text import WORD, words
from isheep.errors import UserError

TASK, THOUGHTS, ANSWER = "Task:", "Thoughts:", "Answer:"
MARK = "====="
HEAD = "An assistant answers tasks. Before each answer it thinks about which of its principles count, and why."
AGAIN = 3
"""Words in a row that give the thoughts of two examples away."""
COPIED = 7
"""Words in a row that are copied from an example."""

_LABEL = re.compile(rf"^[ \t]*(?:{TASK}|{THOUGHTS}|{ANSWER})|{re.escape(MARK)}", re.MULTILINE)
_NAME = re.compile(r"(?<=[^\W_] )[A-Z][^\W\d_]{2,}")  # behind a word: no sentence begins there
_NUMBER = re.compile(r"\d(?:[\d.,]*\d){2,}|\d{3,}")


@dataclass(frozen=True)
class Principle:
    """How answers are written, in a sentence or two."""

    name: str
    principle: str


@dataclass(frozen=True)
class Exemplar:
    """A task with an answer, and the thoughts that led to it."""

    task: str
    thoughts: str
    answer: str


def read_principles(path: str | Path) -> list[Principle]:
    """Return the principles of a file.

    Raises
    ------
    UserError
        It is no YAML list of {name, principle}, or two have one name.
    """
    entries = read_entries(path, ("name", "principle"), "outputs.principles", unique="name")
    return [Principle(**entry) for entry in _without_marks(path, entries)]


def read_exemplars(path: str | Path) -> list[Exemplar]:
    """Return the examples of a file.

    Raises
    ------
    UserError
        It is no YAML list of {task, thoughts, answer}, or a text has a mark of the format.
    """
    entries = read_entries(path, ("task", "thoughts", "answer"), "outputs.exemplars")
    return [Exemplar(**entry) for entry in _without_marks(path, entries)]


def _without_marks(path: str | Path, entries: list[dict[str, str]]) -> list[dict[str, str]]:
    for number, entry in enumerate(entries, start=1):
        for key, text in entry.items():
            if label := _LABEL.search(text):
                raise UserError(f"{path}: entry {number}: {key} holds {label[0]!r}, a mark of the format; rephrase it")
    return entries


def write(principles: Sequence[Principle], exemplars: Sequence[Exemplar], task: str) -> str:
    """Return what a base model continues: principles, examples with thoughts, the task, and the cue for thoughts.

    What all tasks share comes first, so that an engine with prefix caching reads it once.
    """
    rules = [f"{number}. ({each.name}) {each.principle}" for number, each in enumerate(principles, start=1)]
    shown = [f"{_opened(each.task)} {each.thoughts}\n{ANSWER} {each.answer}" for each in exemplars]
    return f"\n{MARK}\n".join(["\n".join([HEAD, *rules]), *shown, _opened(task)])


def _opened(task: str) -> str:
    return f"{TASK} {task}\n{THOUGHTS}"


def parted(text: str) -> tuple[str, int]:
    """Return the thoughts of a completion, and where its answer begins; its length when it has none."""
    found = re.search(rf"^[ \t]*{ANSWER}", text, re.MULTILINE)
    return (text[: found.start()].strip(), found.end()) if found else (text.strip(), len(text))


@dataclass(frozen=True)
class Leaks:
    """What an answer must not have from some examples.

    Parameters
    ----------
    words
        Names (capitals inside a sentence) and numbers of three figures and more.
    runs
        Words in a row, in small letters: of any text, `COPIED`, and of the thoughts of two examples, `AGAIN`.
    """

    words: frozenset[str]
    runs: frozenset[tuple[str, ...]]

    @classmethod
    def of(cls, exemplars: Iterable[Exemplar]) -> Leaks:
        """Return what is to be looked for, from the examples alone."""
        exemplars = list(exemplars)
        texts = [text for each in exemplars for text in (each.task, each.thoughts, each.answer)]
        small = {word for text in texts for word in WORD.findall(text) if word.islower()}
        names = {name for text in texts for name in _NAME.findall(text) if name.lower() not in small}
        numbers = {number for text in texts for number in _NUMBER.findall(text)}
        copied = {run for each in exemplars for text in (each.thoughts, each.answer) for run in _runs(text, COPIED)}
        again = Counter(run for each in exemplars for run in set(_runs(each.thoughts, AGAIN)))
        return cls(frozenset(names | numbers), frozenset(copied | {run for run, count in again.items() if count > 1}))

    def found(self, output: str, prompt: str) -> str | None:
        """Return what an answer has from the examples, its prompt lacking it; None for nothing."""
        if label := _LABEL.search(output):
            return label[0].strip()
        known = {*_NUMBER.findall(prompt), *WORD.findall(prompt)}
        for word in (*WORD.findall(output), *_NUMBER.findall(output)):
            if word in self.words and word not in known:
                return word
        asked = {run for size in (AGAIN, COPIED) for run in _runs(prompt, size)}
        for size in (AGAIN, COPIED):
            for run in _runs(output, size):
                if run in self.runs and run not in asked:
                    return " ".join(run)
        return None


def _runs(text: str, size: int) -> list[tuple[str, ...]]:
    said = words(text)
    return [tuple(said[start : start + size]) for start in range(len(said) - size + 1)]
