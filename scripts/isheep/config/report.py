"""Section `report`: how much a run's page holds. It decides no result."""

from __future__ import annotations

from pydantic import Field

from isheep.config.section import Section


class Report(Section):
    """The HTML page of a run."""

    samples: int = Field(
        5_000, ge=0, le=100_000, description="Rows in the browser of samples; of more, those first by a hash of the id."
    )
    answers: int = Field(
        100,
        ge=0,
        le=100_000,
        description="Items of each benchmark whose answers can be read, the same ones for every model; of more, those "
        "first by a hash of the id.",
    )
    characters: int = Field(
        4_000, ge=100, description="Longer texts of samples and answers are cut to so many characters."
    )
