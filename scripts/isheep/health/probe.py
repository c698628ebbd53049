"""Stage probe_data: the base model reads a sample of the round's rows; how likely, and what vectors, they are to it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from isheep.config.engine import Engine as Settings
from isheep.config.stages import Plain
from isheep.data.files import digest
from isheep.data.rows import Row
from isheep.health.diversity import FIELDS
from isheep.health.readings import Readings
from isheep.runner.journal import Journal
from isheep.serving.chat import address, neutralise, seam
from isheep.serving.engines.base import Prompt, Score, ScoreRequest, Template

if TYPE_CHECKING:
    import numpy as np


class Prober(Protocol):
    """An engine that can embed, too: `transformers` and `fake`."""

    def score(self, requests: Sequence[ScoreRequest]) -> Any:
        """Yield the log-likelihoods for each request."""

    def embed(self, text: str) -> np.ndarray:
        """Return the mean-pooled last hidden states of a text (float32, size)."""


def engine_for(settings: Settings) -> Settings:
    """Return the settings of the engine that probes: transformers, one text at a time, whatever engine writes."""
    name = "fake" if settings.name == "fake" else "transformers"
    return settings.model_copy(update={"name": name, "batch_size": 1})


def probe(
    rows: Sequence[Row], template: Template, plain: Plain | None, journal: Journal, open_engine: Callable[[], Prober]
) -> Readings:
    """Return what the model makes of each row: three forward passes of one text each, so that nothing is padded.

    The log-likelihood is that of the output after its prompt, as the assessor pmi asks for it. Embeddings are of
    instruction and output each by itself.

    Parameters
    ----------
    rows
        The sample.
    template, plain
        How the model is addressed, as in `chat.address`.
    journal
        Holds what was finished before, by the digest of texts alone.
    open_engine
        Opens the engine; called only when a row is not in the journal.
    """
    engine: Prober | None = None
    space = seam(template, plain)
    found = []
    for row in rows:
        texts = {field: neutralise(row[field], template.control_tokens) for field in FIELDS}
        prompt = address(row["instruction"], row["input"], template, plain)
        asked = {"prompt": asdict(prompt), "continuation": space + texts["output"], "texts": texts}
        key = digest(asked)
        if key not in journal.results:
            engine = engine or open_engine()
            journal.append(key, _ask(engine, prompt, asked["continuation"], texts))
        found.append(journal.results[key])
    return _readings(rows, found)


def _ask(engine: Prober, prompt: Prompt, continuation: str, texts: dict[str, str]) -> dict[str, Any]:
    score: Score = next(iter(engine.score([ScoreRequest("", prompt, (continuation,))])))
    counted = bool(score.tokens and score.tokens[0])
    return {
        "log_likelihood": score.log_likelihoods[0] if counted else None,
        "tokens": score.tokens[0] if counted else 0,
        **{field: b64encode(engine.embed(text).astype("<f4").tobytes()).decode() for field, text in texts.items()},
    }


def _readings(rows: Sequence[Row], found: Sequence[dict[str, Any]]) -> Readings:
    import numpy as np

    told = [
        {
            "id": row["id"],
            **{key: one[key] for key in ("log_likelihood", "tokens")},
            "bytes": len(row["output"].encode()),
        }
        for row, one in zip(rows, found, strict=True)
    ]
    vectors = {
        field: np.array([np.frombuffer(b64decode(one[field]), dtype="<f4") for one in found], dtype=np.float32)
        for field in FIELDS
    }
    return Readings(told, vectors)
