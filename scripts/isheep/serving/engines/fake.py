"""The fake engine: no model, the same texts and scores for ever, and every way of going wrong on demand.

It drives the whole workflow in seconds: it recognises from the form of a prompt whether new tasks, a score or an answer
is asked for. Nothing in its texts means anything, but a continuation that takes up the words of its prompt is likelier.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.serving.chat import neutralise
from isheep.serving.engines import fake_text
from isheep.serving.engines.base import Completion, Prompt, Request, Score, ScoreRequest

if TYPE_CHECKING:
    import numpy as np

START, END = "<|im_start|>", "<|im_end|>"
_PIECE = re.compile(r"<\|im_start\|>|<\|im_end\|>|\s*(?:\w+|[^\w\s])|\s+")
_NEXT_TASK = re.compile(r"### Task (\d+)\s*\nInstruction:\s*\Z")
_SCALE = re.compile(r"\b1 (?:to|and|-) 10\b|\b1-10\b")
_USER_TURN = re.compile(r"<\|im_start\|>user\n(.*?)<\|im_end\|>", re.DOTALL)
_results = 0


@dataclass(frozen=True)
class FakeTemplate:
    """A template in the manner of ChatML, with the run's system message in front of every conversation."""

    system: str | None = None
    control_tokens: tuple[str, ...] = (END, START)
    end_of_turn: str = END
    seam: str = ""

    def render(self, messages: list[dict[str, str]]) -> Prompt:
        """Return the conversation up to where the assistant starts to write; control tokens in it are neutralised."""
        turns = [f"{START}system\n{self.system}{END}\n"] if self.system else []
        for turn in messages:
            turns.append(f"{START}{turn['role']}\n{neutralise(turn['content'], self.control_tokens)}{END}\n")
        return Prompt("".join(turns) + f"{START}assistant\n", add_special_tokens=False)


class FakeEngine(AbstractContextManager):
    """An engine whose texts and scores follow from a hash of identity, prompt, temperature, top-p and seed."""

    def __init__(self, settings: Settings, model: Model, identity: str) -> None:
        self.context_length = settings.context_length
        self.template = FakeTemplate(model.system)
        self._identity = identity
        self._misbehave = settings.misbehave

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield a completion for each request, in order, each before the next request is drawn."""
        for request in requests:
            self._suffer()
            yield self._complete(request)

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Score]:
        """Yield the log-likelihoods for each request, in order, each before the next request is drawn."""
        for request in requests:
            self._suffer()
            yield self._score(request)

    def embed(self, text: str) -> np.ndarray:
        """Return a vector (float32, 64) of signed counts at the places of the text's words: like texts lie together."""
        import numpy as np

        self._suffer()
        vector = np.zeros(64, dtype=np.float32)
        for piece in _PIECE.findall(text):
            place = zlib.crc32(piece.strip().lower().encode("utf-8", "surrogatepass"))
            vector[place % 64] += 1 if place & 64 else -1
        return vector

    def close(self) -> None:
        """Nothing to free."""

    def __exit__(self, *_: object) -> None:
        self.close()

    def _suffer(self) -> None:
        """Be slow, or die as if killed, when asked to: counted over all results of this process."""
        global _results
        if self._misbehave.crash_after is not None and _results >= self._misbehave.crash_after:
            os._exit(137)
        if self._misbehave.delay_ms:
            time.sleep(self._misbehave.delay_ms / 1000)
        _results += 1

    def _complete(self, request: Request) -> Completion:
        sampling, used = request.sampling, _count(request.prompt)
        room = self.context_length - used
        if room <= 0:
            return Completion(request.id, "", "context", None, used, 0)
        text, tokens, ended, stopped = _cut(self._write(request), min(sampling.max_tokens, room), sampling.stop)
        # An end by itself costs the end-of-turn token, as with a real model.
        tokens += ended and stopped is None
        return Completion(request.id, text, "stop" if ended else "length", stopped, used, tokens)

    def _write(self, request: Request) -> Iterator[str]:
        """Yield the text for a request in parts, without end when the request belongs to the endless ones."""
        sampling, misbehave = request.sampling, self._misbehave
        # As with a real model: limits and stop strings cut a text but do not change it, a seed needs a temperature.
        drawn_by = (sampling.temperature, sampling.top_p, request.seed) if sampling.temperature else ()
        draw = Random(self._hash(request.prompt.text, *drawn_by))
        luck = [draw.random() for _ in range(4)]
        if luck[0] < misbehave.empty:
            return
        if luck[1] < misbehave.endless:
            phrase = fake_text.answer(draw, request.prompt.text[-200:])
            while True:
                yield f" {phrase}"
        new_task = _NEXT_TASK.search(request.prompt.text)
        if luck[2] < misbehave.duplicate:
            draw = Random(0)
        if luck[3] < misbehave.garbage:
            yield from self._write_garbage(draw, listed=new_task is not None)
        elif new_task:
            yield from fake_text.tasks(draw, int(new_task[1]))
        elif form := fake_text.form_of(request.prompt.text):
            yield from form(draw)
        else:
            question = _question(request.prompt.text)
            if _SCALE.search(question):
                yield f" {int(self._opinion(request.prompt.text))}"
            elif luck[2] < misbehave.duplicate:
                yield fake_text.answer(draw, "")
            else:
                yield fake_text.answer(draw, question)

    @staticmethod
    def _write_garbage(draw: Random, listed: bool) -> Iterator[str]:
        # Half of the garbage in a list keeps the list's form, so that it travels further down the workflow.
        keeps_form = listed and draw.random() < 0.5
        yield f" Repeat {fake_text.garbage(draw)}\nInput: {fake_text.garbage(draw)}\n" if keeps_form else ""
        yield fake_text.garbage(draw)

    def _score(self, request: ScoreRequest) -> Score:
        used = _count(request.prompt)
        continuations = [_PIECE.findall(text) for text in request.continuations]
        if used + max((len(pieces) for pieces in continuations), default=0) > self.context_length:
            return Score(request.id, (), ())
        salt = int.from_bytes(self._hash(request.prompt.text)[:4], "big")
        known = {piece.strip().lower() for piece in _PIECE.findall(request.prompt.text)}
        sums = tuple(
            self._rate(request.prompt.text, pieces[0].strip())
            if len(pieces) == 1 and pieces[0].strip() in _SCORES
            else math.fsum(_log_probability(piece, known, salt) for piece in pieces)
            for pieces in continuations
        )
        return Score(request.id, sums, tuple(map(len, continuations)))

    def _rate(self, prompt: str, score: str) -> float:
        """Return the log-probability of a score from 1 to 10: highest at the engine's opinion of the prompt."""
        return -0.75 - 1.5 * abs(self._opinion(prompt) - int(score))

    def _opinion(self, prompt: str) -> float:
        """Return a number in [1, 11) for a prompt; high ones are commoner, so that thresholds can be met."""
        return 1 + 9.999 * math.sqrt(int.from_bytes(self._hash(prompt, "opinion")[:4], "big") / 2**32)

    def _hash(self, *parts: object) -> bytes:
        text = "\x1f".join([self._identity, *map(str, parts)])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


_SCORES = frozenset(str(score) for score in range(1, 11))


def _count(prompt: Prompt) -> int:
    """Return the tokens of a prompt; plain text gets a start token, and so does an empty prompt."""
    tokens = len(_PIECE.findall(prompt.text))
    return tokens + 1 if prompt.add_special_tokens or not tokens else tokens


def _question(prompt: str) -> str:
    """Return the last user message of a rendered conversation, or the whole of a plain text."""
    turns = _USER_TURN.findall(prompt)
    return turns[-1] if turns else prompt


def _log_probability(piece: str, known: set[str], salt: int) -> float:
    jitter = zlib.crc32(piece.encode("utf-8", "surrogatepass"), salt) / 2**32
    return -(0.5 if piece.strip().lower() in known else 3.0) - 0.5 * jitter


def _cut(parts: Iterator[str], limit: int, stops: tuple[str, ...]) -> tuple[str, int, bool, str | None]:
    """Return (text, tokens, whether it ended by itself, stop string) of a text written in parts.

    The text ends before the first stop string, after `limit` tokens, or where the parts end, whichever comes first.
    """
    text, ended = "", False
    pieces: list[str] = []
    # A part beyond the limit may still be joined to the last token within it, so one token more is looked at.
    while len(pieces) <= limit and not ended and not any(stop in text for stop in stops):
        more = "".join(islice(parts, 8))
        ended, text = not more, text + more
        pieces = _PIECE.findall(text)
    within = pieces[:limit]
    text, ended = "".join(within), len(pieces) <= limit
    matches = [(text.index(stop), stop) for stop in stops if stop and stop in text]
    if not matches:
        return text, len(within), ended and len(pieces) < limit, None
    place, stop = min(matches)
    return text[:place], len(_PIECE.findall(text[: place + len(stop)])), True, stop
