"""What every engine does: complete many requests, score continuations, say how long a context may be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable


@dataclass(frozen=True)
class Prompt:
    """Text for the model.

    `add_special_tokens` is true for plain text (the tokenizer puts its own start token in front) and false for text
    that a chat template rendered (the template wrote every special token itself).
    """

    text: str
    add_special_tokens: bool


@dataclass(frozen=True)
class Sampling:
    """How to draw a completion. `temperature` 0 is greedy; `max_tokens` counts new tokens; `stop` cuts the text."""

    temperature: float
    top_p: float
    max_tokens: int
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """One completion to make. `id` is unique within a stage; `seed` alone decides what is drawn.

    `asks` names the engine's method that takes requests of this type.
    """

    asks: ClassVar[str] = "complete"

    id: str
    prompt: Prompt
    sampling: Sampling
    seed: int

    @staticmethod
    def result(kept: Mapping[str, Any]) -> Completion:
        """Return a result as a journal keeps it."""
        return Completion(**kept)


@dataclass(frozen=True)
class Completion:
    """What a request gave.

    finish_reason: "stop" (end-of-turn token, or a stop string, which `stop_reason` then names), "length" (the limit of
    new tokens or of the context was reached), "context" (the prompt alone leaves no room: nothing was generated) or
    "reasoning" (stopped, but reasons before its answer, which `model.reasoning: refuse` does not take).
    Token counts are in tokens of the model's tokenizer.
    """

    id: str
    text: str
    finish_reason: str
    stop_reason: str | None
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class ScoreRequest:
    """Ask for the log-likelihood of each continuation after the prompt.

    The prompt's tokens do not depend on the continuation; the continuation's are those that it has in the joined text,
    unless a token would reach over the seam. Continuations are never given special tokens by the tokenizer, but control
    tokens written in a continuation (an end of turn) are read as such.
    """

    asks: ClassVar[str] = "score"

    id: str
    prompt: Prompt
    continuations: tuple[str, ...]

    @staticmethod
    def result(kept: Mapping[str, Any]) -> Score:
        """Return a result as a journal keeps it."""
        return Score(kept["id"], tuple(kept["log_likelihoods"]), tuple(kept["tokens"]))


@dataclass(frozen=True)
class Score:
    """Sums of log-probabilities (natural log) and token counts, one per continuation, in the order asked.

    Both are empty when prompt and longest continuation do not fit the context together.
    """

    id: str
    log_likelihoods: tuple[float, ...]
    tokens: tuple[int, ...]


@runtime_checkable
class Template(Protocol):
    """How the model is addressed; the same object serves generating, judging and training.

    `seam` is what separates a rendered prompt from an answer to it: nothing after most templates, else white space.
    """

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Texts of the tokens that a text must not hold."""

    @property
    def end_of_turn(self) -> str:
        """The text that ends an answer."""

    @property
    def seam(self) -> str:
        """What separates a rendered prompt from an answer to it."""

    def render(self, messages: list[dict[str, str]]) -> Prompt:
        """Return the conversation up to where the assistant starts to write."""


@runtime_checkable
class Engine(Protocol):
    """Runs one model. Results come as they finish, in any order; what a request gives depends on it alone."""

    context_length: int

    @property
    def template(self) -> Template:
        """How the model is addressed."""

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield a completion for every request, as they finish; requests are drawn lazily."""

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Score]:
        """Yield the log-likelihoods for every request, as they finish."""

    def close(self) -> None:
        """Free the memory and the processes of the model."""
