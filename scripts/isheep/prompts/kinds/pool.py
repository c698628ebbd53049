"""A fixed pool of prompts from a file, in disjoint parts, one a round; no model is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from isheep.config.places import File
from isheep.data.pools import read_pool
from isheep.data.rows import Row
from isheep.data.seeds import Seed
from isheep.errors import UserError
from isheep.prompts.source import Given, Material


class Pool(Given):
    """Stage generate_prompts: prompts come from a file; round i takes rows i, i + parts, i + 2 parts, ..."""

    kind: Literal["pool"] = Field("pool", description="Where prompts come from.")
    path: File = Field(
        description="A table (JSON Lines, CSV, Parquet, ...) of instruction (or prompt) and input, or `messages`."
    )
    parts: int = Field(1, ge=1, description="Disjoint parts of the pool; at least as many as rounds.")
    compare_with: tuple[Literal["seeds", "round", "earlier_rounds"], ...] = Field(
        ("round",), description="What an instruction is compared with."
    )
    on_shortfall: Literal["stop", "continue"] = Field("continue", description="When the part has fewer rows.")

    @property
    def data(self) -> tuple[str, ...]:
        """The pool."""
        return (self.path,)

    def check(self, seeds: Sequence[Seed]) -> None:
        """Raise UserError when the pool cannot be read or a part of it is empty."""
        rows = len(read_pool(self.path))
        if rows < self.parts:
            raise UserError(f"prompts.parts: {self.parts} parts of {rows} prompts ({self.path}); some would be empty")

    def goes_on(self, seeds: Sequence[Seed]) -> bool:
        """Return whether a prompt goes on with a conversation."""
        return any("history" in row for row in read_pool(self.path))

    def given(self, material: Material) -> Iterator[Row]:
        """Yield the prompts of the round's part, each with its place in the pool (from 0)."""
        rows = read_pool(self.path)
        for place in range(material.round_number, len(rows), self.parts):
            yield {"request": place, "seeds": [], **rows[place]}
