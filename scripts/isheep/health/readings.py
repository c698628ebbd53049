"""What the base model makes of a sample of rows, as stage probe_data wrote it and stage measure_data reads it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from isheep.data.files import publish
from isheep.data.rows import Row, read_rows
from isheep.documents.rounds import Perplexity
from isheep.health.quantity import quantity

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Readings:
    """Rows {id, log_likelihood, tokens, bytes}, in the sample's order, and embeddings (rows x size) of both fields."""

    rows: Sequence[Row]
    vectors: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def read(self) -> list[Row]:
        """The rows whose answer has tokens and fits the context together with its prompt."""
        return [row for row in self.rows if row["log_likelihood"] is not None]

    @cached_property
    def nats(self) -> float:
        """Minus the log-likelihood of all answers, each given its prompt."""
        return -math.fsum(row["log_likelihood"] for row in self.read)

    @property
    def perplexity(self) -> float | None:
        """Exp of the mean over all tokens of all answers; None without any."""
        return math.exp(self.nats / sum(row["tokens"] for row in self.read)) if self.read else None

    @property
    def bits_per_byte(self) -> float | None:
        """Bits that the answers cost, by their bytes in UTF-8: comparable between tokenizers."""
        return self.nats / math.log(2) / sum(row["bytes"] for row in self.read) if self.read else None

    def metrics(self) -> Perplexity:
        """Return perplexity with bits per byte and the share of rows that could not be read, metrics themselves."""
        n, all_rows = len(self.read), len(self.rows)
        return {
            **quantity(self.perplexity, n, "perplexity"),
            "bits_per_byte": quantity(self.bits_per_byte, n, "bits per byte"),
            "share_unread": quantity((all_rows - n) / all_rows if all_rows else None, all_rows, "share", "lower"),
        }


def write(rows_file: str | Path, vectors_file: str | Path, readings: Readings) -> None:
    """Write the rows as JSON Lines and the embeddings as safetensors, each whole or not at all."""
    from safetensors.numpy import save_file

    from isheep.data.rows import write_rows

    with publish(vectors_file) as temporary:
        save_file(readings.vectors, temporary)
    write_rows(rows_file, readings.rows)


def read(rows_file: str | Path, vectors_file: str | Path) -> Readings:
    """Return what `write` wrote."""
    from safetensors.numpy import load_file

    vectors = load_file(vectors_file)
    return Readings(list(read_rows(rows_file)), vectors)
