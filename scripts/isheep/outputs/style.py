"""What every output style is: a section that says what a model is shown to answer a prompt, and where it stops."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from pydantic import Field

from isheep.config.plain import Plain
from isheep.config.sampling import Sampling
from isheep.config.section import Section
from isheep.data.rows import Row
from isheep.serving.addressee import Addressee
from isheep.serving.engines.base import Completion, Prompt


class OutputStyle(Section):
    """Stages generate_outputs and filter_outputs: answer every prompt, drop broken rows."""

    kind: str
    model: Literal["base", "current"] = Field("current", description="Who answers: iter_0, or iter_i.")
    sampling: Sampling = Field(Sampling(), description="How answers are drawn.")
    plain: Plain = Field(Plain(), description="Format for round 0 of a base model (`model.chat: false`).")
    rules: tuple[str, ...] = Field(("default",), description="Output rules, or names of rule sets, in order.")

    openings: tuple[str, ...] = Field(
        (), description="Texts cut off the beginning of an answer, as often as it begins with one."
    )

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

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns of a row that `prompt` reads, besides instruction and input."""
        return ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `read` gives."""
        return ("output",)

    def read(self, row: Row, completion: Completion) -> list[Row]:
        """Return the columns that a completion gives a row: once, or for each of several answers."""
        return [{"output": self.opened(completion.text)}]

    def opened(self, text: str) -> str:
        """Return a text without blanks around it and without its `openings`."""
        text = text.strip()
        while opening := next((each for each in self.openings if each and text.startswith(each)), None):
            text = text.removeprefix(opening).lstrip()
        return text
