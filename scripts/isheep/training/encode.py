"""Rows to token ids: the one place that decides what the model is trained on."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from isheep.data.rows import Row
from isheep.serving import chat
from isheep.serving.engines.tokens import encode_continuation, encode_prompt

IGNORED = -100


@dataclass(frozen=True)
class Encoded:
    """A row as token ids. `cut` is true when the row was longer than allowed and lost its end."""

    prompt: list[int]
    answer: list[int]
    cut: bool

    @property
    def input_ids(self) -> list[int]:
        """Prompt, answer and end of turn."""
        return self.prompt + self.answer

    @property
    def teaches(self) -> bool:
        """Whether there is room for an answer."""
        return bool(self.answer)

    @property
    def answer_tokens(self) -> int:
        """Tokens of the answer with its end of turn."""
        return len(self.answer)

    @property
    def labels(self) -> list[int]:
        """The same ids with the prompt's left out of the loss."""
        return [IGNORED] * len(self.prompt) + self.answer


@dataclass(frozen=True)
class EncodedPair:
    """A preference pair as token ids: two answers behind the same prompt."""

    chosen: Encoded
    rejected: Encoded

    @property
    def cut(self) -> bool:
        """Whether one of the two lost its end."""
        return self.chosen.cut or self.rejected.cut

    @property
    def teaches(self) -> bool:
        """Whether there is room for answers that differ."""
        return self.chosen.teaches and self.chosen.answer != self.rejected.answer

    @property
    def answer_tokens(self) -> int:
        """Tokens of both answers with their ends of turn."""
        return self.chosen.answer_tokens + self.rejected.answer_tokens


def encode_pair(template: chat.ChatTemplate, row: Row, max_length: int) -> EncodedPair:
    """Return a pair, each answer encoded as `encode_row` does it.

    Parameters are those of `encode_row`; the row has `chosen` and `rejected`.
    """
    chosen, rejected = (
        encode_row(template, {**row, "output": row[which]}, max_length) for which in ("chosen", "rejected")
    )
    return EncodedPair(chosen, rejected)


def encode_row(template: chat.ChatTemplate, row: Row, max_length: int) -> Encoded:
    """Return a row as the model meets it when it generates: the rendered prompt, then the answer and its end of turn.

    The prompt's ids do not depend on the answer; the answer's are those that it has behind the prompt, with the seam
    that a model writes and a row's stripped output lacks, as when engines score a text. Control tokens inside
    instruction, input and output are neutralised: the end of turn that is trained is always the one added here. A row
    that was cut has no end of turn, so nobody learns to stop there. Of a conversation the last answer alone is learned:
    those before it were given with the prompt, and neither written by the model nor looked at by a rule or an assessor.

    Parameters
    ----------
    template
        The template object that generation uses.
    row
        Has `instruction`, `input` and `output`; `history` where it goes on with a conversation; where it is asked in a
        form of its own (`train.forms`), `asked`.
    max_length
        Longest row, in tokens.
    """
    tokenizer = template.tokenizer
    rendered = template.render(chat.conversation(row))
    prompt = encode_prompt(tokenizer, rendered)
    output = template.seam + chat.neutralise(row["output"], template.control_tokens)
    answer = encode_continuation(tokenizer, output, rendered.text)
    answer = [*answer, tokenizer.convert_tokens_to_ids(template.end_of_turn)]
    room = max(0, max_length - len(prompt))
    return Encoded(prompt[:max_length], answer[:room], cut=len(answer) > room)


def split_heldout(rows: list[Any], share: float, seed: int) -> tuple[list[Any], list[Any]]:
    """Return (rows to train on, rows kept out), both in file order; the share is rounded down.

    The rows kept out are drawn at random: rows may be sorted by score, so neither end of the file is like the rest.
    """
    count = int(len(rows) * share)
    kept_out = set(random.Random(seed).sample(range(len(rows)), count))
    train = [row for index, row in enumerate(rows) if index not in kept_out]
    return train, [rows[index] for index in sorted(kept_out)]
