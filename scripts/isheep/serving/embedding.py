"""Embeddings: which engine gives them, and how a journal keeps them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from isheep.config.engine import Engine as Settings
from isheep.serving.engines.base import Score, ScoreRequest

if TYPE_CHECKING:
    import numpy as np


class Embedder(Protocol):
    """An engine that can embed, too: `transformers` and `fake`."""

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[Score]:
        """Yield the log-likelihoods for each request."""

    def embed(self, text: str) -> np.ndarray:
        """Return the mean-pooled last hidden states of a text (float32, size)."""


def engine_for(settings: Settings) -> Settings:
    """Return the settings of the engine that embeds: transformers, one text at a time, whatever engine writes."""
    name = "fake" if settings.name == "fake" else "transformers"
    return settings.model_copy(update={"name": name, "batch_size": 1})


def packed(vector: np.ndarray) -> str:
    """Return a vector as float32, little-endian, in base64."""
    return b64encode(vector.astype("<f4").tobytes()).decode()


def matrix(vectors: Iterable[str]) -> np.ndarray:
    """Return packed vectors as a matrix (rows x size, float32)."""
    import numpy as np

    return np.array([np.frombuffer(b64decode(vector), dtype="<f4") for vector in vectors], dtype=np.float32)
