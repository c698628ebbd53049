"""What a training teaches: rows as it sees them, the library's trainer, and what it measures on held-out rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pkgutil import resolve_name
from typing import Any, ClassVar, Protocol

from isheep.config.train import Train
from isheep.data.rows import Row
from isheep.serving import chat

# By name, imported when asked for: the code of an objective counts in the digest of what it made, and in no other.
OBJECTIVES = {"sft": "isheep.training.sft:Sft", "dpo": "isheep.training.dpo:DpoObjective"}
Logged = Mapping[str, Any]


class Example(Protocol):
    """A row as token ids."""

    @property
    def cut(self) -> bool:
        """Whether it lost its end."""

    @property
    def teaches(self) -> bool:
        """Whether there is anything to learn from it."""

    @property
    def answer_tokens(self) -> int:
        """Tokens of answers, with their ends of turn."""


class Objective(ABC):
    """One of `train.objective`."""

    metrics: ClassVar[Mapping[str, str]]
    """The metrics of held-out rows by which a step can be kept, and their names in the trainer's log."""

    @abstractmethod
    def encode(self, template: chat.ChatTemplate, row: Row, max_length: int) -> Example:
        """Return a row as it is trained; one longer than `max_length` tokens is cut at the end."""

    @abstractmethod
    def arguments(self, settings: Train, common: dict[str, Any]) -> Any:
        """Return the library's arguments, those that all objectives have among them.

        With ZeRO-3 they must exist before the model is loaded: transformers then loads it in shards.
        """

    @abstractmethod
    def trainer(
        self, settings: Train, arguments: Any, model: Any, tokenizer: Any, train: Sequence[Any], heldout: Sequence[Any]
    ) -> Any:
        """Return the trainer for a loaded model and encoded rows.

        Raises
        ------
        UserError
            The model takes no such adapter, or its loss is not the library's.
        """

    @abstractmethod
    def measured(self, logged: tuple[Logged, Logged] | None) -> dict[str, Any]:
        """Return what the report tells of the held-out rows, from what was logged at the start and of what is kept."""


def objective_of(settings: Train) -> Objective:
    """Return the objective of a training."""
    return resolve_name(OBJECTIVES[settings.objective])()
