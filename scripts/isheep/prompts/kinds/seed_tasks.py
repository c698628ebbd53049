"""The seed tasks themselves: no model writes prompts (as SPIN has its rounds, arXiv 2401.01335)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from isheep.data.rows import Row
from isheep.prompts.source import Material, PromptSource
from isheep.serving.engines.base import Completion, Request


class SeedTasks(PromptSource):
    """Stage generate_prompts: the seed tasks are the prompts of every round, in their order."""

    asks: ClassVar[bool] = False

    kind: Literal["seeds"] = "seeds"
    compare_with: tuple[Literal["seeds", "round", "earlier_rounds"], ...] = Field(
        (), description="What an instruction is compared with."
    )
    on_shortfall: Literal["stop", "continue"] = Field(
        "continue", description="When there are fewer seeds than `rows`: stop with the funnel, or go on with fewer."
    )

    @property
    def most_per_request(self) -> int:
        """Each seed is one task."""
        return 1

    def given(self, material: Material) -> Iterator[Row]:
        """Yield every seed as a task."""
        for number, seed in enumerate(material.seeds):
            yield {"request": number, "seeds": [seed.id], "instruction": seed.instruction, "input": seed.input}

    def request(self, number: int, material: Material) -> Request:
        """Refuse: nothing is asked."""
        raise TypeError("seed tasks are given, no model writes them")

    def candidates(self, number: int, completion: Completion, material: Material) -> Iterator[tuple[Row, str | None]]:
        """Yield nothing: no completion holds a task."""
        yield from ()
