"""How varied texts are: distinct n-grams, compression, self-BLEU, Vendi score. All depend on the number of texts."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from isheep.data.rows import Row
from isheep.data.text import words
from isheep.documents.rounds import Quantity
from isheep.health.quantity import quantity

if TYPE_CHECKING:
    import numpy as np

FIELDS = ("instruction", "output")


def diversity(rows: Sequence[Row], self_bleu_rows: int) -> dict[str, dict[str, Quantity]]:
    """Return the measures that need texts only, for instructions and outputs.

    Parameters
    ----------
    rows
        The sample.
    self_bleu_rows
        How many rows, from its beginning, self-BLEU looks at.
    """
    measured: dict[str, dict[str, Quantity]] = {}
    for field in FIELDS:
        texts = [row[field] for row in rows]
        few = texts[:self_bleu_rows]
        measured[field] = {
            **{f"distinct_{n}": quantity(distinct(texts, n), len(texts), "share", "higher") for n in (1, 2, 3)},
            "compression_ratio": quantity(compression_ratio(texts), len(texts), "ratio", "lower"),
            "self_bleu": quantity(self_bleu(few), len(few), "BLEU", "lower"),
        }
    return measured


def distinct(texts: Sequence[str], n: int) -> float | None:
    """Return distinct word n-grams by all of them (Li et al. 2016), none across two texts; None without any."""
    seen: set[tuple[str, ...]] = set()
    count = 0
    for text in texts:
        for gram in ngrams(words(text), n):
            seen.add(gram)
            count += 1
    return len(seen) / count if count else None


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Return every run of n tokens."""
    return list(zip(*(tokens[start:] for start in range(n)), strict=False))


def compression_ratio(texts: Sequence[str]) -> float | None:
    """Return bytes before by bytes after zlib, level 9, of texts a line each (Shaib et al. 2024); None of no text."""
    raw = "\n".join(texts).encode("utf-8", "replace")
    return len(raw) / len(zlib.compress(raw, 9)) if raw.strip() else None


def self_bleu(texts: Sequence[str]) -> float | None:
    """Return the mean BLEU (0-100) of each text against all others as references (Zhu et al. 2018).

    Sentence BLEU of sacrebleu with its defaults (13a tokens, exponential smoothing) and effective order, so that texts
    of fewer than four tokens count by the orders that they have. Texts without a word are left out; None below two.
    """
    from sacrebleu.metrics import BLEU

    texts = [text for text in texts if text.strip()]
    if len(texts) < 2:
        return None
    bleu = BLEU(effective_order=True)
    others = ([*texts[:place], *texts[place + 1 :]] for place in range(len(texts)))
    return math.fsum(bleu.sentence_score(text, rest).score for text, rest in zip(texts, others, strict=True)) / len(
        texts
    )


def vendi(vectors: np.ndarray) -> float | None:
    """Return how many different texts there seem to be, from 1 to n (Friedman & Dieng 2022).

    The exponential of the entropy of the eigenvalues of K / n, where K holds the cosine similarities.

    Parameters
    ----------
    vectors
        Embeddings, n x size; None comes of none.
    """
    import numpy as np

    if not len(vectors):
        return None
    vectors = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    kernel = unit @ unit.T / len(unit)
    np.fill_diagonal(kernel, 1 / len(unit))
    values = np.clip(np.linalg.eigvalsh(kernel), 0.0, None)
    values = values[values > 0]
    return float(np.exp(-(values * np.log(values)).sum()))


def as_vendi(vectors: Any) -> Quantity:
    """Return the Vendi score of embeddings as a metric."""
    return quantity(vendi(vectors), len(vectors), "texts", "higher")
