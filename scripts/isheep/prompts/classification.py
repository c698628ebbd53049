"""Which prompts are classification: their right answers are a small fixed set. The model is asked, after examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from isheep.data.rows import Row, read_rows
from isheep.errors import UserError
from isheep.serving.chat import neutralise
from isheep.serving.engines.base import Completion, Prompt, Request, Sampling

HEAD = "Does the task have a small, fixed set of possible answers, so that answering it is choosing one of them?"
CUE = "Fixed answers (yes or no):"
SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_tokens=3, stop=("\n", "Task"))


@dataclass(frozen=True)
class Example:
    """A task, and whether it is classification."""

    instruction: str
    classification: bool


def read_examples(path: str | Path) -> list[Example]:
    """Return the examples of a file.

    Raises
    ------
    UserError
        A line lacks a key or has a wrong value, or all examples are of one kind.
    """
    examples = []
    for number, row in enumerate(read_rows(path), start=1):
        instruction, label = row.get("instruction"), row.get("classification")
        if not isinstance(instruction, str) or not isinstance(label, bool):
            raise UserError(f"{path}:{number}: write {{instruction: a text, classification: true or false}}")
        examples.append(Example(instruction, label))
    if len({example.classification for example in examples}) < 2:
        raise UserError(f"{path}: needs examples of both kinds, classification: true and false")
    return examples


def requests(rows: Iterable[Row], examples: Sequence[Example], control_tokens: Sequence[str]) -> list[Request]:
    """Return a request for each prompt: greedy, three tokens; the examples first, so that all share their cache."""
    shown = [f"Task: {each.instruction}\n{CUE} {'yes' if each.classification else 'no'}" for each in examples]
    before = "\n\n".join([HEAD, *shown])
    return [
        Request(
            row["id"],
            Prompt(f"{before}\n\nTask: {neutralise(row['instruction'], control_tokens)}\n{CUE}", True),
            SAMPLING,
            seed=0,
        )
        for row in rows
    ]


def is_classification(completion: Completion) -> bool:
    """Return whether the answer is yes; whatever else the model wrote means no, as in Self-Instruct."""
    return completion.text.strip().rstrip(".,").lower() == "yes"
