"""Text to token ids and back: one way for every engine that runs a real model, so that all see and stop at the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isheep.data.files import read_json
from isheep.errors import UserError
from isheep.serving.engines.base import Prompt

ANCHOR = 256  # characters before a continuation that are encoded with it
INVALID_PREFIX = "Invalid prefix encountered"  # how the tokenizers library says that a stream lost its place


def encode_prompt(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Return the token ids of a prompt; an empty one starts from the start token, or the end token without one.

    What a tokenizer puts behind a text (an end token, in some) is left off: a prompt is there to be continued.

    Raises
    ------
    UserError
        The prompt is empty and the tokenizer has neither a start nor an end token.
    """
    text = _encodable(prompt.text)
    ids = tokenizer(text, add_special_tokens=prompt.add_special_tokens).input_ids
    if prompt.add_special_tokens:
        ids = _without_end(ids, tokenizer(text, add_special_tokens=False).input_ids)
    if ids:
        return ids
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if first is None:
        raise UserError("model.end_of_turn: an empty prompt needs a token to start from; the tokenizer has none")
    return [first]


def _without_end(ids: list[int], bare: list[int]) -> list[int]:
    """Return the ids of a text with its start tokens, given those with all special tokens and those with none."""
    for start in range(len(ids) - len(bare), 0, -1):
        if ids[start : start + len(bare)] == bare:
            return ids[: start + len(bare)] if bare else []
    return bare


def encode_continuation(tokenizer: Any, text: str, after: str = "") -> list[int]:
    """Return the token ids that a text has behind `after`: nothing added, control tokens in it read as such.

    Encoded alone, a text gets a blank in front from some tokenizers (Metaspace, Prepend), as if it began a line. So
    the end of what stands before it is encoded with it and its ids are taken off. Where a token reaches over the seam
    (`after` ends in half a word), a line end stands for it.
    """
    text = _encodable(text)
    if not text or not after:
        return _ids(tokenizer, text)
    for anchor in (_encodable(_tail(after)), "\n"):
        before, joined = _ids(tokenizer, anchor), _ids(tokenizer, anchor + text)
        if before and joined[: len(before)] == before:
            return joined[len(before) :]
    return _ids(tokenizer, text)


def _ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False).input_ids


def _tail(text: str) -> str:
    """Return the last characters of a text, from a blank on where there is one, so that no word is cut."""
    tail = text[-ANCHOR:]
    blank = re.search(r"\s", tail) if len(text) > ANCHOR else None
    return tail[blank.start() :] if blank and tail[blank.start() :].strip() else tail


def _encodable(text: str) -> str:
    """Return the text with lone surrogates, which no tokenizer takes, replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def end_tokens(tokenizer: Any, folder: Path, end_of_turn: str | None = None) -> list[int]:
    """Return the ids that end a completion: the end of turn, the end of sequence, and the ends in the model's files."""
    ids = {tokenizer.eos_token_id} - {None}
    if end_of_turn is not None:
        ids.add(tokenizer.convert_tokens_to_ids(end_of_turn))
    for name in ("generation_config.json", "config.json"):
        if (folder / name).exists():
            named = read_json(folder / name).get("eos_token_id")
            ids.update(named if isinstance(named, list) else [named] if named is not None else [])
    return sorted(ids)


class TextStream:
    """The text of a completion as its tokens come, up to a stop string.

    Follows vLLM's detokenizer (the same DecodeStream of the tokenizers library, without special tokens), so that a
    character of which only some bytes were generated is left out and texts agree between engines.
    """

    def __init__(self, tokenizer: Any, prompt_ids: Sequence[int], stops: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stops = tuple(stops)
        self._ids: list[int] = []
        self._backend = getattr(tokenizer, "_tokenizer", None)
        if self._backend is not None:
            from tokenizers.decoders import DecodeStream

            self._new = lambda ids: DecodeStream(ids=ids, skip_special_tokens=True)
            self._stream = self._new(list(prompt_ids))
        self.text = ""

    def _step(self, token: int) -> str:
        """Return the text that a token adds.

        Bytes that are no text change what was decoded before them (byte fallback), and the stream then gives up; it is
        begun anew, as vLLM does.
        """
        assert self._backend is not None, "a stream decodes through the tokenizer's backend"
        try:
            return self._stream.step(self._backend, token) or ""
        except Exception as error:
            if not str(error).startswith(INVALID_PREFIX):
                raise
            self._stream = self._new([])
            return self._stream.step(self._backend, token) or ""

    def push(self, token: int) -> str | None:
        """Add a token; when the text now holds a stop string, cut the text before it and return the string."""
        before = len(self.text)
        if self._backend is None:
            self._ids.append(token)
            self.text = self._tokenizer.decode(self._ids, skip_special_tokens=True).rstrip("\ufffd")
        else:
            self.text += self._step(token)
        if len(self.text) == before:
            return None
        matches = []
        for stop in self._stops:
            place = self.text.find(stop, max(0, before + 1 - len(stop)))
            if place >= 0:
                matches.append((place + len(stop), place, stop))
        if not matches:
            return None
        _, place, stop = min(matches, key=lambda match: match[0])
        self.text = self.text[:place]
        return stop
