"""HumanEval (Chen et al. 2021, arXiv 2107.03374) and HumanEval+ (Liu et al. 2023, arXiv 2305.01210).

HumanEval+ is read from its file in the original format (OriginFmt).
"""

from __future__ import annotations

from typing import Literal

from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Item
from isheep.evaluation.extraction import cut, defines, extract, hoisted, indented, longest
from isheep.evaluation.files import load_items, take
from isheep.evaluation.programs import Programs

STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint", "\n@", "\n```")
CHAT = "Complete this Python function. Answer with the whole function in one code block.\n\n```python\n{}\n```"


class HumanEval(Programs):
    """Functions to complete, run in the sandbox: HumanEval, and HumanEval+ from a file in the same format."""

    kind: Literal["humaneval"] = "humaneval"

    def load(self) -> list[Item]:
        """Return the tasks of a file with task_id, prompt, entry_point, canonical_solution and test."""

        def make(place: str, row: Row) -> Item:
            keys = ("prompt", "entry_point", "canonical_solution", "test")
            fields = {key: take(place, row, key, str) for key in keys}
            if not fields["entry_point"].isidentifier():
                raise UserError(f"{place}: entry_point must be a name in Python, is {fields['entry_point']!r}")
            return Item(take(place, row, "task_id", str), fields)

        return load_items(self.data, make, self.limit)

    def prompt(self, item: Item) -> tuple[str, tuple[str, ...]]:
        """Return the function's head, asked for or left to be continued."""
        head = item.fields["prompt"]
        return (CHAT.format(head.strip()) if self.style == "chat" else head.rstrip()), STOPS

    def program(self, item: Item, completion: str) -> str:
        """Return head and completion. A whole function replaces the head's, whose imports and helpers stay."""
        head, name = item.fields["prompt"], item.fields["entry_point"]
        if self.style == "continuation":
            return head.rstrip() + cut(completion, STOPS)
        code = extract(completion, name)
        if defines(code, name):
            return hoisted(f"{head}\n    pass\n\n{code}")
        head = head.rstrip() + "\n"
        return head + longest(indented(code).split("\n"), head)

    def tests(self, item: Item) -> str:
        """Return the file's tests, called."""
        return f"{item.fields['test']}\n\ncheck({item.fields['entry_point']})\n"

    def canonical(self, item: Item) -> str:
        """Return the head with the file's solution."""
        return item.fields["prompt"] + item.fields["canonical_solution"]
