"""What every source of prompts is: a section that writes requests to a model and reads tasks from what comes back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from isheep.config.section import Section
from isheep.data.rows import Row
from isheep.data.seeds import Seed
from isheep.data.text import Tokens
from isheep.serving.engines.base import Completion, Request


@dataclass(frozen=True)
class Material:
    """What requests are made of, and what their draws follow from.

    Parameters
    ----------
    seeds
        The seed tasks.
    texts
        What is in the source's files, in their order.
    round_number
        The round.
    seed_for
        Gives what a request (by its number), or a named part of one, draws from.
    made
        The prompts that the waves before this one gave: machine-made demonstrations.
    """

    seeds: Sequence[Seed]
    texts: Sequence[str]
    round_number: int
    seed_for: Callable[[int | str], int]
    made: Sequence[Row] = ()

    def request_id(self, number: int) -> str:
        """Return the id of request `number`: round and number."""
        return f"d{self.round_number}-{number:06d}"


class PromptSource(Section):
    """Where prompts come from. Waves, rules, de-duplication and order are those of `prompts.maker`, whatever the kind.

    What a source asks follows from request number and material alone, so that any shard can ask it. The first
    wave has no earlier prompts, so shards can ask all of it.
    """

    asks: ClassVar[bool] = True  # whether a model writes its tasks; else they are `given`

    kind: str
    rows: int = Field(10_000, ge=1, description="Prompts to make in a round (N).")
    rules: tuple[str, ...] = Field(("default",), description="Prompt rules, or names of rule sets, in order.")
    similarity: float = Field(
        0.7, gt=0, le=1, description="ROUGE-L F1 with an earlier instruction above which a prompt is a near-duplicate."
    )
    tokens: Tokens = Field(
        "words",
        description="What instructions are compared by, here and in `health`. words: words of any alphabet, characters "
        "of scripts without blanks; rouge: runs of a-z and 0-9, as rouge_score, which sees no other script.",
    )
    compare_with: tuple[Literal["seeds", "round", "earlier_rounds"], ...] = Field(
        ("seeds", "round"), description="What a new instruction is compared with."
    )
    forget: int | None = Field(
        None,
        ge=1,
        description="Prompts after which those before are compared with no more, as in the paper's released generator "
        "(about 100); seeds and earlier rounds stay. null: never.",
    )
    max_requests: int | None = Field(
        None, ge=1, description="Bound on requests in a round; by default 20 times what a perfect model needs."
    )
    on_shortfall: Literal["stop", "continue"] = Field(
        "stop", description="When the bound is reached with fewer rows: stop with the funnel, or go on with fewer."
    )

    @property
    def files(self) -> tuple[str, ...]:
        """The user's files that it reads, besides the seeds."""
        return ()

    def given(self, material: Material) -> Iterator[Row]:
        """Yield the tasks of a source that asks no model (`Given`)."""
        yield from ()

    @property
    @abstractmethod
    def most_per_request(self) -> int:
        """Tasks in the completion of a perfect model."""

    @property
    def data(self) -> tuple[str, ...]:
        """The user's files that hold prompts, of any format."""
        return ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its tasks."""
        return ("seeds", "instruction", "input")

    @property
    def per_wave(self) -> int | None:
        """Requests in each wave; None when what is missing decides it."""
        return None

    def goes_on(self, seeds: Sequence[Seed]) -> bool:
        """Return whether its tasks may go on with a conversation: have `history`, the turns before the instruction."""
        return False

    def check(self, seeds: Sequence[Seed]) -> None:
        """Raise UserError when it cannot work with these seed tasks."""

    @abstractmethod
    def request(self, number: int, material: Material) -> Request:
        """Return request `number` (from 0), whose id is `material.request_id(number)`."""

    @abstractmethod
    def candidates(self, number: int, completion: Completion, material: Material) -> Iterator[tuple[Row, str | None]]:
        """Yield the tasks that the completion of request `number` holds, each with a complaint or None.

        A task has `instruction` and `input`, before them what it was made from, like `seeds` (ids).
        """


class Given(PromptSource):
    """A source that has its prompts and asks no model for them."""

    asks = False

    @property
    def most_per_request(self) -> int:
        """One, though nothing is asked."""
        return 1

    @abstractmethod
    def given(self, material: Material) -> Iterator[Row]:
        """Yield the tasks: `request` (a number), `seeds` (ids), `instruction`, `input`."""

    def request(self, number: int, material: Material) -> Request:
        """Refuse: nothing is asked."""
        raise TypeError(f"prompts.kind {self.kind}: its prompts are given, no model writes them")

    def candidates(self, number: int, completion: Completion, material: Material) -> Iterator[tuple[Row, str | None]]:
        """Yield nothing: there are no completions."""
        yield from ()
