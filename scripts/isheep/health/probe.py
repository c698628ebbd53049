"""Stage probe_data: the base model reads a sample of the round's rows; how likely, and what vectors, they are to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from isheep.config.plain import PlainFormat
from isheep.data.conversations import user_text
from isheep.data.rows import Row
from isheep.health.diversity import FIELDS
from isheep.health.readings import Readings
from isheep.serving.chat import address, conversation, neutralise, seam
from isheep.serving.embedding import Embedder, matrix, packed
from isheep.serving.engines.base import Prompt, ScoreRequest, Template


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


def request(row: Row, template: Template, plain: PlainFormat | None) -> ProbeRequest:
    """Return what to ask about a row; the model is addressed as in `chat.address`."""
    shown = {**row, "instruction": user_text(row)}
    texts = {field: neutralise(shown[field], template.control_tokens) for field in FIELDS}
    prompt = address(conversation(row), template, plain)
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
            embedded = {field: packed(self.engine.embed(text)) for field, text in asked.texts.items()}
            log_likelihood, tokens = (score.log_likelihoods[0], score.tokens[0]) if counted else (None, 0)
            yield Reading(asked.id, log_likelihood, tokens, **embedded)


def gather(rows: Sequence[Row], readings: Sequence[Reading]) -> Readings:
    """Return the readings of a sample, one for each row, as rows and matrices of embeddings (rows x size)."""
    counted = [
        {
            "id": row["id"],
            "log_likelihood": reading.log_likelihood,
            "tokens": reading.tokens,
            "bytes": len(row["output"].encode()),
        }
        for row, reading in zip(rows, readings, strict=True)
    ]
    vectors = {field: matrix(getattr(reading, field) for reading in readings) for field in FIELDS}
    return Readings(counted, vectors)
