"""The numbered list of tasks: written for the model to continue, and read from what it wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from isheep.data.seeds import Seed

NO_INPUT = "<noinput>"
HEADER = re.compile(r"^(?:#{1,6}[ \t]*)?Task[ \t]+\d+[ \t]*[.:]?[ \t]*$", re.MULTILINE)
# The model may go on and answer the task itself: the format has no such field, so the task ends there.
ANSWER = re.compile(r"^(?:Output|Answer|Response)[ \t]*:", re.MULTILINE)
INSTRUCTION = re.compile(r"\A\s*Instructions?[ \t]*:[ \t]*")
INPUT = re.compile(r"^Inputs?[ \t]*:[ \t]*", re.MULTILINE)


def header(number: int) -> str:
    """Return the line that begins the task with this number (from 1)."""
    return f"### Task {number}"


def write_list(meta_prompt: str, shown: Sequence[Seed]) -> str:
    """Return the request's text: the meta-prompt, the seed tasks shown, and the cue of the next task.

    Outputs of the seeds are left out: the list is of tasks, not of answers (isheep.md 1.3).
    """
    tasks = [
        f"{header(number)}\nInstruction: {_flat(seed.instruction)}\nInput: {seed.input.strip() or NO_INPUT}"
        for number, seed in enumerate(shown, start=1)
    ]
    return "\n\n".join([meta_prompt.strip(), *tasks, f"{header(len(shown) + 1)}\nInstruction:"])


def stop_string(shown: int, wanted: int) -> str:
    """Return what ends a completion after `wanted` new tasks; it begins with a line break, so no text can hold it."""
    return f"\n{header(shown + wanted + 1)}\n"


@dataclass(frozen=True)
class Task:
    """A task read from a completion; `problem` says why it cannot be used ("malformed", "unfinished"), else None."""

    instruction: str
    input: str
    problem: str | None


def read_list(completion: str, finished: bool) -> list[Task]:
    """Return the tasks that a completion of the list holds, in order.

    Parameters
    ----------
    completion
        What the model wrote after the cue `Instruction:`.
    finished
        Whether it ended by itself or at the stop string. Otherwise (token limit) its last task is cut off and comes
        back as "unfinished"; a finished last task counts like any other.
    """
    chunks = HEADER.split(f"Instruction:{completion}")
    tasks = [_read_task(chunk) for chunk in chunks]
    if not finished:
        tasks[-1] = Task(tasks[-1].instruction, tasks[-1].input, "unfinished")
    elif len(tasks) > 1 and not chunks[-1].strip():
        tasks.pop()  # a bare header at the end announces a task that never came
    return tasks


def _read_task(chunk: str) -> Task:
    chunk = chunk[: answer.start()] if (answer := ANSWER.search(chunk)) else chunk
    cue = INSTRUCTION.match(chunk)
    if cue is None:
        return Task(chunk.strip(), "", "malformed")
    instruction, *inputs = INPUT.split(chunk[cue.end() :])
    if len(inputs) > 1 or not instruction.strip():
        return Task(chunk.strip(), "", "malformed")
    text = inputs[0].strip() if inputs else ""
    # Small models close the placeholder in many ways: <noinput>, < noinput >, <no input>, (noinput), N/A.
    if re.fullmatch(r"[<(\[]?\s*(?:no[ _-]?input|none|n/?a)\s*[>)\]]?\.?", text, re.IGNORECASE):
        text = ""
    return Task(_flat(instruction), text, None)


def _flat(instruction: str) -> str:
    return re.sub(r"\s+", " ", instruction).strip()
