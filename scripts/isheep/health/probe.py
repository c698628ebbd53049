"""Stage probe_data: the base model reads a sample of the round's rows; how likely, and what vectors, they are to it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from isheep.config.engine import Engine as Settings
from isheep.config.plain import PlainFormat
from isheep.data.rows import Row
from isheep.health.diversity import FIELDS
from isheep.health.readings import Readings
from isheep.serving.chat import address, neutralise, seam
from isheep.serving.engines.base import Prompt, Score, ScoreRequest, Template

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Reading:
    """What the model made of a row: log-likelihood (nats) and tokens of its output, None and 0 where it did not fit.

    Embeddings are float32, little-endian, in base64.
    """

    id: str
    log_likelihood: float | None
    tokens: int
    instruction: str
    output: str


@dataclass(frozen=True)
class ProbeRequest:
    """A row to be read: its output after its prompt, as the assessor pmi asks for it, and its texts to be embedded."""

    asks: ClassVar[str] = "probe"

    id: str
    prompt: Prompt
    continuation: str
    texts: Mapping[str, str]

    @staticmethod
    def result(kept: Mapping[str, Any]) -> Reading:
        """Return a result as a journal keeps it."""
        return Reading(**kept)


class Embedder(Protocol):
    """An engine that can embed, too: `transformers` and `fake`."""

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[Score]:
        """Yield the log-likelihoods for each request."""

    def embed(self, text: str) -> np.ndarray:
        """Return the mean-pooled last hidden states of a text (float32, size)."""


def engine_for(settings: Settings) -> Settings:
    """Return the settings of the engine that probes: transformers, one text at a time, whatever engine writes."""
    name = "fake" if settings.name == "fake" else "transformers"
    return settings.model_copy(update={"name": name, "batch_size": 1})


def request(row: Row, template: Template, plain: PlainFormat | None) -> ProbeRequest:
    """Return what to ask about a row; the model is addressed as in `chat.address`."""
    texts = {field: neutralise(row[field], template.control_tokens) for field in FIELDS}
    prompt = address(row["instruction"], row["input"], template, plain)
    return ProbeRequest(row["id"], prompt, seam(template, plain) + texts["output"], texts)


class Prober:
    """Reads rows with an engine: three forward passes of one text each, so that nothing is padded."""

    def __init__(self, engine: Embedder) -> None:
        self.engine = engine

    def probe(self, requests: Sequence[ProbeRequest]) -> Iterator[Reading]:
        """Yield the reading of each request."""
        for asked in requests:
            score = next(iter(self.engine.score([ScoreRequest("", asked.prompt, (asked.continuation,))])))
            counted = bool(score.tokens and score.tokens[0])
            embedded = {field: b64encode(self.engine.embed(text).astype("<f4").tobytes()).decode()
                        for field, text in asked.texts.items()}  # fmt: skip
            log_likelihood, tokens = (score.log_likelihoods[0], score.tokens[0]) if counted else (None, 0)
            yield Reading(asked.id, log_likelihood, tokens, **embedded)


def gather(rows: Sequence[Row], readings: Sequence[Reading]) -> Readings:
    """Return the readings of a sample, one for each row, as rows and matrices of embeddings (rows x size)."""
    import numpy as np

    counted = [
        {
            "id": row["id"],
            "log_likelihood": reading.log_likelihood,
            "tokens": reading.tokens,
            "bytes": len(row["output"].encode()),
        }
        for row, reading in zip(rows, readings, strict=True)
    ]
    vectors = {
        field: np.array(
            [np.frombuffer(b64decode(getattr(reading, field)), dtype="<f4") for reading in readings], dtype=np.float32
        )
        for field in FIELDS
    }
    return Readings(counted, vectors)
