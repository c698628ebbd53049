"""How completions are drawn, in the settings."""

from __future__ import annotations

from pydantic import Field

from isheep.config.section import Section
from isheep.serving.engines import base


class Sampling(Section):
    """How completions are drawn. The paper: temperature 1, top-p 0.95, at most 1,000 tokens (isheep.md 2.1)."""

    temperature: float = Field(1.0, ge=0, description="0 is greedy.")
    top_p: float = Field(0.95, gt=0, le=1, description="Nucleus: smallest set of tokens with this total probability.")
    max_tokens: int = Field(1000, ge=1, description="New tokens at most.")

    def until(self, *stop: str) -> base.Sampling:
        """Return it for an engine, with the strings that end a completion."""
        return base.Sampling(self.temperature, self.top_p, self.max_tokens, stop)
