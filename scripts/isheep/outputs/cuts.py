"""Where an answer is cut: at a new task, at the first repetition, behind the last whole sentence.

A base model that does not stop has often answered first; a cut keeps that. What stands before it is never changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from isheep.filters import text

Cut = Literal["new_task", "repetition", "last_sentence"]

NEW_TASK = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*)?\**(?:instructions?|task|question|exercise|problem|input|output|response|q)"
    r"[ \t]*\d*[ \t]*\**[:.)]"
    r"|^[ \t]*#{1,6}[ \t]*(?:instructions?|task|question|exercise|problem|input|output|response)[ \t]*\d*[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
SENTENCE = re.compile(r"[.!?\u2026][\"'\u201d\u2019)\]*]*(?=\s|\Z)|[\u3002\uff01\uff1f][\u201d\u300d]?")
ENDED = re.compile(rf".*(?:{SENTENCE.pattern})", re.DOTALL)
ITEM = re.compile(rf"(?:{text.LIST_MARK.pattern})\S[^\n]*(?=\n)", re.MULTILINE)
FEWEST_LETTERS = {True: 3, False: 12}
"""Letters of a list item, and of any other unit, that count as repeated when it comes again."""


def units(output: str) -> Iterator[tuple[int, int, bool]]:
    """Yield start, end and whether it is a list item of every sentence; a line's end ends one, a list mark does not.

    Unfinished ones count too: an answer without any full stop is a unit a line.
    """
    for line in re.finditer(r"[^\n]+", output):
        mark = text.LIST_MARK.match(line[0])
        start, after = line.start(), line.start() + (mark.end() if mark else 0)
        for end in (*(found.end() for found in SENTENCE.finditer(output, after, line.end())), line.end()):
            if output[start:end].strip():
                yield start, end, bool(mark)
            start = end


def _new_task(output: str, prompt: str) -> int:
    """Return where the model goes on to another task: at a mark of one, behind some text, that the prompt lacks."""
    for mark in NEW_TASK.finditer(output):
        word = re.sub(r"[\W\d_]", "", mark[0]).removesuffix("s")
        if output[: mark.start()].strip() and not re.search(rf"\b{word}s?\b", prompt, re.IGNORECASE):
            return mark.start()
    return len(output)


def _repetition(output: str, prompt: str) -> int:
    """Return where the first sentence or line begins that came before, list marks aside."""
    seen: set[str] = set()
    for start, end, is_item in () if text.REPETITION.search(prompt) else units(output):
        said = text.fold(text.LIST_MARK.sub("", output[start:end]))
        if said in seen:
            return start
        if sum(map(str.isalpha, said)) >= FEWEST_LETTERS[is_item]:
            seen.add(said)
    return len(output)


def _last_sentence(output: str, prompt: str) -> int:
    """Return where the last whole sentence or list item ends; 0 when there is none."""
    sentences = (end for start, end, _ in units(output) if ENDED.fullmatch(output[start:end]))
    items = (item.end() for item in ITEM.finditer(output))
    return max([0, *sentences, *items])


CUTS: dict[Cut, Callable[[str, str], int]] = {
    "new_task": _new_task,
    "repetition": _repetition,
    "last_sentence": _last_sentence,
}


def cut(output: str, prompt: str, finish_reason: str, cuts: Sequence[Cut]) -> tuple[str, Cut | None]:
    """Return an answer up to where it is cut, and by what; after the first that cuts, none follows.

    Parameters
    ----------
    output
        The answer, without blanks around it.
    prompt
        Instruction and input: what they speak of is no mark of a new task, and they may ask for repetition.
    finish_reason
        As in `Completion`; `last_sentence` cuts after "length" alone, since what ended by itself is whole.
    cuts
        Names of cuts, in order.
    """
    for name in cuts:
        if name == "last_sentence" and finish_reason != "length":
            continue
        kept = output[: CUTS[name](output, prompt)].rstrip()
        if kept and (kept != output or name == "last_sentence"):
            return kept, name
    return output, None
