"""Reasoning before an answer: which marks models write around it, and how the answer is taken from behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

Handling = Literal["strip", "keep", "refuse"]

PAIRS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
"""How reasoning opens and closes, a pair for each family of models."""
MARKERS = tuple(marker for pair in PAIRS for marker in pair)
# gpt-oss names the channel of each message; a decoder that skips special tokens leaves the names in the text.
CHANNELS = re.compile(r"\A\s*(?:analysis|commentary).*?assistantfinal", re.DOTALL)
FINAL_CHANNEL = re.compile(r"\A\s*(?:<\|channel\|>)?final<\|message\|>")
ENDS = (*(end for _, end in PAIRS), "<|message|>")


def answer(text: str) -> tuple[str, bool]:
    """Return a completion without its reasoning, and whether it had any.

    What stands before the last closing mark is reasoning, whether it was opened in the text or by the prompt; an
    opened one that never closes leaves nothing.
    """
    channels = CHANNELS.match(text) or FINAL_CHANNEL.match(text)
    if channels:
        return text[channels.end() :].lstrip(), True
    for begin, end in PAIRS:
        opened, closed = text.lstrip().startswith(begin), text.find(end)
        if opened and closed < 0:
            return "", True
        # A mark within an answer, as in a text about such marks, comes after its own beginning.
        if closed >= 0 and (opened or begin not in text[:closed]):
            return text[closed + len(end) :].lstrip(), True
    return text, False


def left_over(text: str) -> bool:
    """Return whether a text holds a mark of reasoning without its partner, or the names of gpt-oss's channels."""
    unpaired = any(text.count(begin) != text.count(end) for begin, end in PAIRS)
    return unpaired or bool(CHANNELS.match(text) or FINAL_CHANNEL.match(text))


def skipped(tokenizer: Any, ids: Sequence[int]) -> str:
    """Return the text before the answer in a completion whose marks are special tokens, and so not in its text.

    Parameters
    ----------
    tokenizer
        Made the text, without special tokens.
    ids
        All token ids of the completion.
    """
    special = {token: tokenizer.convert_tokens_to_ids(token) for token in tokenizer.all_special_tokens if token in ENDS}
    places = [place for place, token in enumerate(ids) if token in special.values()]
    return tokenizer.decode(ids[: places[-1] + 1], skip_special_tokens=True) if places else ""


def handle(handling: Handling, text: str, tokenizer: Any, ids: Sequence[int]) -> tuple[str, bool]:
    """Return the text of a completion as the setting `model.reasoning` wants it, and whether to refuse the completion.

    Parameters
    ----------
    handling
        strip: the answer alone; keep: all; refuse: all, and the second value says whether there was reasoning.
    text, tokenizer, ids
        The completion's text, and what it was decoded from.
    """
    if handling == "keep":
        return text, False
    hidden = skipped(tokenizer, ids)
    bare, found = answer(text.removeprefix(hidden))
    if handling == "strip":
        return (bare.lstrip() if hidden else bare), False
    return text, found or bool(hidden.strip())
