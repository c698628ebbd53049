"""MBPP (Austin et al. 2021, arXiv 2108.07732): its test split, the task ids 11 to 510."""

from __future__ import annotations

import re
from typing import Literal

from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Item
from isheep.evaluation.extraction import cut, extract, hoisted
from isheep.evaluation.files import load_items, strings, take
from isheep.evaluation.programs import Programs

STOPS = ("[DONE]", "\nTask:")
SHOTS = ("2", "3", "4")
TEST_IDS = range(11, 511)
CHAT = (
    "Write a Python function for this task. Answer with the code in one code block.\n\n{}\n\n"
    "It must pass these tests:\n\n```python\n{}\n```"
)
SHOT = "Task: {}\nTests:\n{}\n[BEGIN]\n"


class Mbpp(Programs):
    """Functions to write, run in the sandbox: MBPP's test split; a base model is shown tasks 2, 3 and 4 first."""

    kind: Literal["mbpp"] = "mbpp"

    def load(self) -> list[Item]:
        """Return the test tasks of a file with task_id, text, code, test_list and test_setup_code."""

        def make(place: str, row: Row) -> Item:
            fields = {key: take(place, row, key, str).replace("\r\n", "\n") for key in ("text", "code")}
            fields["setup"] = take(place, row, "test_setup_code", str, "")
            fields["tests"] = strings(place, row, "test_list")
            return Item(str(take(place, row, "task_id", int)), fields)

        items = load_items(self.data, make)
        shots = [item.fields for item in items if item.id in SHOTS]
        if self.style == "continuation" and len(shots) < len(SHOTS):
            raise UserError(f"{self.path}: the tasks {', '.join(SHOTS)}, shown as examples, are not all in the file")
        before = "".join(f"{_task(shot)}{shot['code'].strip()}\n[DONE]\n\n" for shot in shots)
        tasks = [Item(item.id, item.fields | {"shots": before}) for item in items if int(item.id) in TEST_IDS]
        if not tasks:
            raise UserError(f"{self.path}: no task with an id from 11 to 510, the test split")
        return tasks[: self.limit]

    def prompt(self, item: Item) -> tuple[str, tuple[str, ...]]:
        """Return the task with its tests; for a continuation, behind three solved ones."""
        if self.style == "chat":
            return CHAT.format(item.fields["text"], "\n".join(item.fields["tests"])), STOPS
        return item.fields["shots"] + _task(item.fields), STOPS

    def program(self, item: Item, completion: str) -> str:
        """Return the completion's code."""
        code = cut(completion, STOPS) if self.style == "continuation" else completion
        return hoisted(extract(code, _asked(item.fields)))

    def tests(self, item: Item) -> str:
        """Return the file's tests behind what they need."""
        return "\n".join([item.fields["setup"], *item.fields["tests"]]) + "\n"

    def canonical(self, item: Item) -> str:
        """Return the file's solution."""
        return item.fields["code"]


def _asked(fields: Row) -> str:
    """Return the name of the function that the tests call: the first in them that the file's solution defines."""
    defined = re.findall(r"^(?:def|class) +(\w+)", fields["code"], re.MULTILINE)
    called = re.findall(r"\w+", fields["tests"][0])
    return next((name for name in called if name in defined), "")


def _task(fields: Row) -> str:
    return SHOT.format(fields["text"], "\n".join(fields["tests"]))
