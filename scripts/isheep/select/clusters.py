"""Clusters of rows: each row embedded by a model's last layer, and the vectors grouped by k-means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from isheep.config.rows import Cluster
from isheep.data.rows import Row
from isheep.serving import embedding
from isheep.serving.chat import join, neutralise

if TYPE_CHECKING:
    import numpy as np


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

    def __init__(self, engine: embedding.Embedder) -> None:
        self.engine = engine

    def vectors(self, requests: Sequence[EmbedRequest]) -> Iterator[Embedding]:
        """Yield the embedding of each request."""
        for asked in requests:
            yield Embedding(asked.id, embedding.packed(self.engine.embed(asked.text)))


def request(row: Row, of: str, control_tokens: Sequence[str]) -> EmbedRequest:
    """Return what to embed of a row: its prompt, or prompt and output (`of`: prompt, pair)."""
    prompt = join(row["instruction"], row["input"])
    text = prompt if of == "prompt" else f"{prompt}\n\n{row['output']}"
    return EmbedRequest(row["id"], neutralise(text, control_tokens))


def matrix(embeddings: Sequence[Embedding]) -> np.ndarray:
    """Return embeddings as a matrix (rows x size) of vectors of length one: directions count, not lengths."""
    import numpy as np

    vectors = embedding.matrix(each.vector for each in embeddings)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def clusters(vectors: np.ndarray, settings: Cluster) -> list[int]:
    """Return the cluster of each row: scikit-learn's KMeans, begun once from a fixed seed, in one thread.

    Parameters
    ----------
    vectors
        Rows x size.
    settings
        `count` clusters, or half the rows where there are fewer (isheep.md 4.4), at least one.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    rows = len(vectors)
    if not rows:
        return []
    count = settings.count or 1
    with threadpool_limits(limits=1):  # sums of floats in an order of threads would differ between runs
        found = KMeans(count if count <= rows else max(1, rows // 2), n_init=1, random_state=0).fit(vectors)
    return [int(label) for label in found.labels_]
