"""How the model is addressed: the one join of instruction and input, the one template, control tokens made harmless."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from isheep.config.model import DATE, Model
from isheep.config.plain import PlainFormat
from isheep.data import conversations
from isheep.data.conversations import Turn
from isheep.errors import UserError
from isheep.serving import template as templates
from isheep.serving.engines.base import Prompt, Template
from isheep.serving.imports import spare_scikit_learn, without_torch
from isheep.serving.reasoning import MARKERS

logger = logging.getLogger(__name__)
ZERO_WIDTH_SPACE = "\u200b"
PROBE = "Xq7Zanswer"  # stands for an answer where a template is asked what it writes around one


def join(instruction: str, input_text: str) -> str:
    """Return instruction and input as one text, a blank line between them; used wherever a model sees the two."""
    return f"{instruction}\n\n{input_text}" if input_text.strip() else instruction


def conversation(row: Mapping[str, Any]) -> list[Turn]:
    """Return a row's conversation up to its answer: the turns before it, if any, and instruction with input.

    Where it is asked in a form of its own (`train.forms`), `asked` stands for the two.
    """
    return [*conversations.history(row), *user(row.get("asked") or join(row["instruction"], row["input"]))]


def transcript(row: Mapping[str, Any]) -> str:
    """Return a row's conversation up to its answer as one text, which names the speakers of more than one turn."""
    turns = conversation(row)
    return conversations.transcript(turns) if len(turns) > 1 else turns[0]["content"]


def neutralise(text: str, control_tokens: Iterable[str]) -> str:
    """Break every control token inside `text` with a zero-width space, so that a tokenizer reads it as plain text."""
    pattern = _pattern(tuple(control_tokens))
    while pattern and pattern.search(text):  # what is left of one token may complete another
        text = pattern.sub(lambda match: match[0][0] + ZERO_WIDTH_SPACE + match[0][1:], text)
    return text


@lru_cache(maxsize=16)
def _pattern(control_tokens: tuple[str, ...]) -> re.Pattern[str] | None:
    # A token of one letter cannot be broken.
    tokens = sorted({token for token in control_tokens if len(token) > 1}, key=lambda token: (-len(token), token))
    return re.compile("|".join(map(re.escape, tokens))) if tokens else None


def load_tokenizer(folder: str | Path, model: Model) -> Any:
    """Return the tokenizer of a model folder with the run's chat template on it.

    Raises
    ------
    UserError
        The folder has no tokenizer, or there is neither a template in the settings nor on the tokenizer.
    """
    try:
        if without_torch(Path(folder)):
            from transformers import PreTrainedTokenizerFast

            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        else:
            spare_scikit_learn()
            from transformers import AutoTokenizer

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


def load_template(folder: str | Path, model: Model) -> ChatTemplate:
    """Return the chat template of a model folder, addressed as the section `model` says.

    Raises
    ------
    UserError
        As `load_tokenizer`.
    """
    tokenizer = load_tokenizer(folder, model)
    return ChatTemplate(tokenizer, model.system, model.template_arguments, model.date, model.end_of_turn)


@dataclass(frozen=True)
class ChatTemplate:
    """The tokenizer's chat template, with the run's system message in front of every conversation.

    Parameters
    ----------
    tokenizer
        Has the template.
    system
        The system message; None for none.
    arguments
        The template's own switches (`enable_thinking`, ...).
    date
        What the template reads in place of the clock, as YYYY-MM-DD, so that a prompt is the same on every day.
    overruled
        End of turn that the settings name, in place of what the template writes.
    """

    tokenizer: Any
    system: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    date: str = DATE
    overruled: str | None = None

    @cached_property
    def control_tokens(self) -> tuple[str, ...]:
        """Every token to which the decoder (special tokens, the end of turn) or the template gives a meaning.

        Of the other added tokens (HTML tags, runs of blanks, words) a template knows those that stand in its text or
        in what it writes. Marks of reasoning are none: a person writes them, too, and section `model` says what
        becomes of them.
        """
        special = {*self.tokenizer.all_special_tokens, self.end_of_turn}
        added = {token.content for token in self.tokenizer.added_tokens_decoder.values() if not token.special}
        written = self._written
        known = {token for token in added - set(MARKERS) if templates.is_mark(token) and token in written}
        special |= {token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special}
        return tuple(sorted(token for token in special | known if len(token) > 1 and token.strip()))

    @cached_property
    def _written(self) -> str:
        text = self.tokenizer.chat_template
        sources = text.values() if isinstance(text, dict) else [text]
        return "\n".join([*map(templates.literals, sources), self._try(3) or "", self._try(1, opened=True) or ""])

    @cached_property
    def end_of_turn(self) -> str:
        """The token after which an answer is over: what the template writes after one, or else the tokenizer's end.

        Some templates end a turn only when another follows (GLM-4), so that is looked at next. A start token is no end.

        Raises
        ------
        UserError
            The template writes no token there and the tokenizer has no end of sequence.
        """
        if self.overruled:
            return self.overruled
        # A template may write the same end token twice; what counts is the first.
        for rendered in (self._try(2), self._try(3)):
            after = (rendered or "").rpartition(PROBE)[2].lstrip() if PROBE in (rendered or "") else ""
            token = self._first_token(after)
            if token is not None:
                return token
        if self.tokenizer.eos_token is None:
            raise UserError(
                "model.end_of_turn: the chat template writes no token after an answer and the tokenizer has no "
                "end-of-sequence token; name the token that ends an answer"
            )
        return self.tokenizer.eos_token

    def _first_token(self, text: str) -> str | None:
        """Return the special or added token with which a text begins; None for plain text and for a start token."""
        tokens = {token.content for token in self.tokenizer.added_tokens_decoder.values()}
        tokens |= set(self.tokenizer.all_special_tokens)
        begun = [token for token in tokens if token.strip() and text.startswith(token)]
        longest = max(begun, key=len, default=None)
        is_start = longest == self.tokenizer.bos_token and longest != self.tokenizer.eos_token
        return None if is_start else longest

    @cached_property
    def seam(self) -> str:
        """White space between the rendered prompt and an answer, which a model writes and a stripped answer lacks.

        It is what the template itself writes there. Where that is nothing, a prompt that ends in a word or a colon is
        followed by a space, one that ends in a mark is not.
        """
        opened, whole = self._try(1, opened=True) or "", self._try(2) or ""
        between, found, _ = whole.removeprefix(opened).partition(PROBE)
        if found and whole.startswith(opened) and between and not between.strip():
            return between
        ends_in_mark = opened.endswith(">") or opened.endswith(self.control_tokens)
        return "" if ends_in_mark or not opened else gap(opened)

    def messages(self, messages: list[dict[str, str]]) -> list[dict[str, str]]:
        """Return the conversation with the system message in front and control tokens in it neutralised."""
        turns = [
            {"role": turn["role"], "content": neutralise(turn["content"], self.control_tokens)} for turn in messages
        ]
        return [{"role": "system", "content": self.system}, *turns] if self.system else turns

    def render(self, messages: list[dict[str, str]]) -> Prompt:
        """Return the conversation up to where the assistant starts to write.

        Raises
        ------
        UserError
            The template refuses the conversation.
        """
        return Prompt(self._render(self.messages(messages), opened=True), add_special_tokens=False)

    def continued(self, messages: list[dict[str, str]], opened: bool = True) -> str:
        """Return a conversation whose last answer, where it has begun, goes on (`opened` is false then).

        A system message that the conversation brings stands in place of the run's.

        Raises
        ------
        UserError
            The template refuses the conversation.
        """
        turns = self.messages(messages)
        own = [turn["role"] for turn in messages[:1]] == ["system"] and self.system
        return self._render(turns[1:] if own else turns, opened, continue_final_message=not opened)

    def _render(self, messages: list[dict[str, str]], opened: bool, **more: Any) -> str:
        from jinja2 import TemplateError

        variables = {**templates.clock(date.fromisoformat(self.date)), **self.arguments}
        try:
            return self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=opened, **more, **variables
            )
        except (TemplateError, TypeError) as error:
            roles = ", ".join(turn["role"] for turn in messages)
            raise UserError(
                f"the chat template cannot render a conversation of {roles} ({str(error).splitlines()[0]}); "
                f"{templates.remedy(error, system=bool(self.system))}"
            ) from None

    def _try(self, turns: int, opened: bool = False) -> str | None:
        """Return a conversation of so many turns, its answers the probe; None where the template refuses it."""
        conversation = [("user", "Hi."), ("assistant", PROBE), ("user", "Bye.")][:turns]
        try:
            return self._render([{"role": role, "content": text} for role, text in conversation], opened)
        except UserError:
            return None


def address(turns: list[Turn], template: Template, plain: PlainFormat | None, beside: str | None = None) -> Prompt:
    """Return what a model is shown of a conversation, with control tokens in it made harmless.

    Parameters
    ----------
    turns
        The conversation, which ends with the user (`conversation` of a row).
    template
        The model's chat template.
    plain
        None when the model knows the template; else the format for a base model that was trained on none.
    beside
        The first message of the conversation whose demonstrations a base model is shown; this one's when not given.
    """
    if plain is None:
        return template.render(turns)
    before = plain.before(turns[0]["content"] if beside is None else beside)
    harmless = [{**turn, "content": neutralise(turn["content"], template.control_tokens)} for turn in turns]
    return Prompt(neutralise(before, template.control_tokens) + plainly(harmless, plain), add_special_tokens=True)


def plainly(turns: Sequence[Turn], plain: PlainFormat) -> str:
    """Return a conversation in the plain format; after the user's last message the text ends where an answer begins."""
    space = gap(plain.text.partition("{prompt}")[2])
    shown = {"user": plain.text, "assistant": f"{space}{{prompt}}{plain.ended}"}
    return "".join(shown[turn["role"]].replace("{prompt}", turn["content"]) for turn in turns)


def user(text: str) -> list[Turn]:
    """Return a conversation of one user message."""
    return [{"role": "user", "content": text}]


def seam(template: Template | None, plain: PlainFormat | None) -> str:
    """Return what separates an answer from the prompt that `address` makes; the parameters are those of `address`.

    The one rule for generating, training, judging and scoring: engines encode seam and answer together behind the
    prompt, as the ids of the joined text.
    """
    if plain is not None:
        return gap(plain.text.partition("{prompt}")[2])
    assert template is not None, "a model is addressed by its template or plainly"
    return template.seam


def gap(before: str) -> str:
    """Return what separates a text from what stands before it: a space, unless that ends in white space already.

    After a letter or mark of a script that is written without blanks nothing is put.
    """
    last = before[-1:]
    return "" if last.isspace() or (last and unicodedata.east_asian_width(last) in "WF") else " "
