"""A config file, resolved: its runs, and how model stages are split into jobs."""

from __future__ import annotations

from pydantic import Field

from isheep.config.run import Run
from isheep.config.section import Section


class Shards(Section):
    """Jobs into which a model stage is split; changing a number never changes or repeats a finished stage."""

    generate_prompts: int = Field(1, ge=1, le=999, description="Shards of generate_prompts.")
    classify_prompts: int = Field(1, ge=1, le=999, description="Shards of classify_prompts.")
    generate_outputs: int = Field(1, ge=1, le=999, description="Shards of generate_outputs.")
    assess_outputs: int = Field(1, ge=1, le=999, description="Shards of assess_outputs.")
    pair_answers: int = Field(1, ge=1, le=999, description="Shards of pair_answers.")
    evaluate_model: int = Field(1, ge=1, le=999, description="Shards of evaluate_model.")

    def of(self, stage: str) -> int:
        """Return into how many jobs a stage is split; 1 for one that cannot be."""
        return getattr(self, stage, 1)


class Config(Section):
    """A config file, resolved."""

    runs: dict[str, Run] = Field(description="Run name: settings.")
    shards: Shards = Field(Shards(), description="How model stages are split into jobs.")
