"""The seed tasks themselves: no model writes prompts (as SPIN has its rounds, arXiv 2401.01335)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from isheep.data.rows import Row
from isheep.data.seeds import Seed
from isheep.prompts.source import Given, Material


class SeedTasks(Given):
    """Stage generate_prompts: the seed tasks are the prompts of every round, in their order."""

    kind: Literal["seeds"] = "seeds"
    compare_with: tuple[Literal["seeds", "round", "earlier_rounds"], ...] = Field(
        (), description="What an instruction is compared with."
    )
    on_shortfall: Literal["stop", "continue"] = Field(
        "continue", description="When there are fewer seeds than `rows`: stop with the funnel, or go on with fewer."
    )

    def goes_on(self, seeds: Sequence[Seed]) -> bool:
        """Return whether a seed is a conversation of several questions."""
        return any(seed.later for seed in seeds)

    def given(self, material: Material) -> Iterator[Row]:
        """Yield every seed as a task; of a conversation the last question, with the turns before it."""
        for number, seed in enumerate(material.seeds):
            yield {"request": number, "seeds": [seed.id], **seed.prompt()}
