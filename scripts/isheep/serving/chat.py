"""How the model is addressed: the one join of instruction and input, the one template, control tokens made harmless."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isheep.config.model import Model
from isheep.config.plain import Plain
from isheep.errors import UserError
from isheep.serving.engines.base import Prompt, Template

ZERO_WIDTH_SPACE = "\u200b"


def join(instruction: str, input_text: str) -> str:
    """Return instruction and input as one text, a blank line between them; used wherever a model sees the two."""
    return f"{instruction}\n\n{input_text}" if input_text.strip() else instruction


def neutralise(text: str, control_tokens: Iterable[str]) -> str:
    """Break every control token inside `text` with a zero-width space, so that a tokenizer reads it as plain text."""
    tokens = sorted({token for token in control_tokens if token}, key=len, reverse=True)
    if not tokens:
        return text
    pattern = "|".join(re.escape(token) for token in tokens)
    return re.sub(pattern, lambda match: match[0][0] + ZERO_WIDTH_SPACE + match[0][1:], text)


def load_tokenizer(folder: str | Path, model: Model) -> Any:
    """Return the tokenizer of a model folder with the run's chat template on it.

    Raises
    ------
    UserError
        The folder has no tokenizer, or there is neither a template in the settings nor on the tokenizer.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=model.trust_remote_code)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: no usable tokenizer ({str(error).splitlines()[0]})") from None
    if model.chat_template:
        tokenizer.chat_template = Path(model.chat_template).read_text(encoding="utf-8")
    if not tokenizer.chat_template:
        raise UserError(
            f"{folder}: the tokenizer has no chat template; set model.chat_template "
            "(config/prompts/chat.jinja fits any base model) and model.chat: false"
        )
    if model.end_of_turn:
        if model.end_of_turn not in tokenizer.get_vocab():
            raise UserError(f"model.end_of_turn: {model.end_of_turn!r} is not a token of {folder}")
        tokenizer.eos_token = model.end_of_turn
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


@dataclass(frozen=True)
class ChatTemplate:
    """The tokenizer's chat template, with the run's system message in front of every conversation."""

    tokenizer: Any
    system: str | None

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Every token that the template or the tokenizer gives a meaning of its own."""
        # Some tokenizers list runs of blanks among the added tokens; those mean nothing to a template.
        added = {token.content for token in self.tokenizer.added_tokens_decoder.values() if token.content.strip()}
        return tuple(sorted(added | set(self.tokenizer.all_special_tokens)))

    @property
    def end_of_turn(self) -> str:
        """The token after which an answer is over."""
        return self.tokenizer.eos_token

    def messages(self, messages: list[dict[str, str]]) -> list[dict[str, str]]:
        """Return the conversation with the system message in front and control tokens in it neutralised."""
        turns = [
            {"role": turn["role"], "content": neutralise(turn["content"], self.control_tokens)} for turn in messages
        ]
        return [{"role": "system", "content": self.system}, *turns] if self.system else turns

    def render(self, messages: list[dict[str, str]]) -> Prompt:
        """Return the conversation up to where the assistant starts to write."""
        text = self.tokenizer.apply_chat_template(self.messages(messages), tokenize=False, add_generation_prompt=True)
        return Prompt(text, add_special_tokens=False)


def address(instruction: str, input_text: str, template: Template, plain: Plain | None) -> Prompt:
    """Return what a model is shown of a task, with control tokens in it made harmless.

    Parameters
    ----------
    instruction, input_text
        The task.
    template
        The model's chat template.
    plain
        None when the model knows the template; else the format for a base model that was trained on none.
    """
    text = join(instruction, input_text)
    if plain is None:
        return template.render(user(text))
    return Prompt(plain.text.replace("{prompt}", neutralise(text, template.control_tokens)), add_special_tokens=True)


def user(text: str) -> list[dict[str, str]]:
    """Return a conversation of one user message."""
    return [{"role": "user", "content": text}]


def gap(before: str) -> str:
    """Return what separates a text from what stands before it: a space, unless that ends in white space already.

    A continuation is tokenised apart from its prompt, so the space that a reader expects has to be its own.
    """
    return "" if before[-1:].isspace() else " "
