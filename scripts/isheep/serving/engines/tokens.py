"""Text to token ids and back: one way for every engine that runs a real model, so that all see and stop at the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isheep.data.files import read_json
from isheep.errors import UserError
from isheep.serving.engines.base import Prompt


def encode_prompt(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Return the token ids of a prompt; an empty one starts from the start token, or the end token without one.

    Raises
    ------
    UserError
        The prompt is empty and the tokenizer has neither a start nor an end token.
    """
    ids = tokenizer(_encodable(prompt.text), add_special_tokens=prompt.add_special_tokens).input_ids
    if ids:
        return ids
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if first is None:
        raise UserError("model.end_of_turn: an empty prompt needs a token to start from; the tokenizer has none")
    return [first]


def encode_continuation(tokenizer: Any, text: str) -> list[int]:
    """Return the token ids of a continuation: nothing added, control tokens written in it read as such."""
    return tokenizer(_encodable(text), add_special_tokens=False).input_ids


def _encodable(text: str) -> str:
    """Return the text with lone surrogates, which no tokenizer takes, replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def end_tokens(tokenizer: Any, folder: Path) -> list[int]:
    """Return the ids that end a completion: the end of turn, and what the model's own files name as its end."""
    ids = {tokenizer.eos_token_id} - {None}
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

            self._stream = DecodeStream(ids=list(prompt_ids), skip_special_tokens=True)
        self.text = ""

    def push(self, token: int) -> str | None:
        """Add a token; when the text now holds a stop string, cut the text before it and return the string."""
        before = len(self.text)
        if self._backend is None:
            self._ids.append(token)
            self.text = self._tokenizer.decode(self._ids, skip_special_tokens=True).rstrip("\ufffd")
        else:
            self.text += self._stream.step(self._backend, token) or ""
        if len(self.text) == before:
            return None
        found = []
        for stop in self._stops:
            place = self.text.find(stop, max(0, before + 1 - len(stop)))
            if place >= 0:
                found.append((place + len(stop), place, stop))
        if not found:
            return None
        _, place, stop = min(found, key=lambda match: match[0])
        self.text = self.text[:place]
        return stop
