"""Embeddings of texts: which engine gives them, what it is asked, and how a journal keeps them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from isheep.config.engine import Engine as Settings
from isheep.data.rows import Row
from isheep.serving.chat import neutralise, transcript
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


@dataclass(frozen=True)
class Embedding:
    """A text's vector, float32, little-endian, in base64."""

    id: str
    vector: str


@dataclass(frozen=True)
class EmbedRequest:
    """A text to be embedded."""

    asks: ClassVar[str] = "vectors"

    id: str
    text: str

    @staticmethod
    def result(kept: Mapping[str, Any]) -> Embedding:
        """Return a result as a journal keeps it."""
        return Embedding(**kept)


class Vectors:
    """Embeds with an engine, one text at a time, so that nothing is padded."""

    def __init__(self, engine: Embedder) -> None:
        self.engine = engine

    def vectors(self, requests: Sequence[EmbedRequest]) -> Iterator[Embedding]:
        """Yield the embedding of each request."""
        for asked in requests:
            yield Embedding(asked.id, packed(self.engine.embed(asked.text)))


def request(row: Row, of: str, control_tokens: Sequence[str]) -> EmbedRequest:
    """Return what to embed of a row: its prompt, or prompt and output (`of`: prompt, pair)."""
    prompt = transcript(row)
    text = prompt if of == "prompt" else f"{prompt}\n\n{row['output']}"
    return EmbedRequest(row["id"], neutralise(text, control_tokens))


def directions(embeddings: Sequence[Embedding]) -> np.ndarray:
    """Return embeddings as a matrix (rows x size) of vectors of length one: directions count, not lengths."""
    import numpy as np

    vectors = matrix(each.vector for each in embeddings)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
