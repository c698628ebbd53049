"""The work of a stage that asks for embeddings."""

from __future__ import annotations

from typing import Any

from isheep.config.engine import Engine as EngineSettings
from isheep.runner import stage
from isheep.serving.embedding import Vectors, engine_for


class Embeds(stage.Work):
    """Work whose requests an engine that can embed answers: vectors of texts, unless a stage asks for more."""

    code = ("isheep/serving/embedding.py",)

    @property
    def engine(self) -> EngineSettings:
        """One that can embed, whatever engine writes."""
        return engine_for(self.run.engine)

    def answering(self, engine: Any) -> Any:
        """Embed with the engine."""
        return Vectors(engine)
