"""What every output style is: a section that says what a model is shown to answer a prompt, and where it stops."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import Field

from isheep.config.plain import Plain
from isheep.config.sampling import Sampling
from isheep.config.section import Section
from isheep.data.rows import Row
from isheep.serving.addressee import Addressee
from isheep.serving.engines.base import Prompt


class OutputStyle(Section):
    """Stages generate_outputs and filter_outputs: answer every prompt, drop broken rows."""

    kind: str
    sampling: Sampling = Field(Sampling(), description="How answers are drawn.")
    samples: int = Field(1, ge=1, le=64, description="Answers to each prompt; `pairs` compares them.")
    plain: Plain = Field(Plain(), description="Format for round 0 of a base model (`model.chat: false`).")
    rules: tuple[str, ...] = Field(("default",), description="Output rules, or names of rule sets, in order.")

    @property
    def files(self) -> tuple[str, ...]:
        """The user's files that it reads."""
        return ()

    @abstractmethod
    def prompt(self, row: Row, model: Addressee) -> Prompt:
        """Return what the model is shown to answer a row (id, instruction, input)."""

    def stop(self, model: Addressee) -> tuple[str, ...]:
        """Return the strings that end an answer."""
        return model.stop
