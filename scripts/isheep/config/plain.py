"""The format for a base model that knows no chat template: `outputs.plain`, used wherever such a model is asked."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field, model_validator

from isheep.config.section import Section


class PlainFormat(Protocol):
    """How a base model is shown a task: `text` with the task in place of {prompt}, and what stands before it."""

    @property
    def text(self) -> str:
        """The task's own part, up to where its answer starts; holds {prompt} once."""

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings that end the answer."""

    @property
    def ended(self) -> str:
        """What stands behind an answer that is over."""

    def before(self, task: str) -> str:
        """Return what stands before a task (instruction and input as one text)."""


class Plain(Section):
    """Format for a base model that knows no chat template. `{prompt}` stands for instruction and input."""

    text: str = Field(
        "Instruction: {prompt}\n\nResponse:", description="What stands before the answer; must hold {prompt} once."
    )
    stop: tuple[str, ...] = Field(("\nInstruction:", "\nResponse:"), description="Strings that end the answer.")

    @model_validator(mode="after")
    def _placeholder(self) -> Plain:
        if self.text.count("{prompt}") != 1:
            raise ValueError("text must hold {prompt} exactly once")
        return self

    @property
    def ended(self) -> str:
        """What stands behind an answer that is over: a blank line."""
        return "\n\n"

    def before(self, task: str) -> str:
        """Return what stands before a task: nothing."""
        return ""
