"""A config file, resolved: its runs, and how model stages are split into jobs."""

from __future__ import annotations

from typing import Any

from pydantic import Field, create_model

from isheep.config.run import Run
from isheep.config.section import Section
from isheep.stages.table import table

_split: dict[str, Any] = {
    stage.name: (int, Field(1, ge=1, le=999, description=f"Shards of {stage.name}."))
    for stage in table()
    if stage.shards
}
_Split: Any = create_model("_Split", __base__=Section, **_split)


class Shards(_Split):
    """Jobs into which a model stage is split; changing a number never changes or repeats a finished stage."""

    def of(self, stage: str) -> int:
        """Return into how many jobs a stage is split; 1 for one that cannot be."""
        return getattr(self, stage, 1)


class Config(Section):
    """A config file, resolved."""

    runs: dict[str, Run] = Field(description="Run name: settings.")
    shards: Shards = Field(Shards(), description="How model stages are split into jobs.")
