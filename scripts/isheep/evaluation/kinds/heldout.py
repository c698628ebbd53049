"""Held-out pairs of instruction and answer: how likely the model finds the human answer, and how it answers itself.

Needs no judge and moves at any model size: bits per byte are a language model's loss, made comparable between
tokenizers by dividing by bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import ClassVar, Literal

from pydantic import Field

from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Answers, Ask, Item, Metric, mean, ratio
from isheep.evaluation.benchmark import Benchmark
from isheep.evaluation.files import load_items
from isheep.evaluation.pairs import mismatched, pair
from isheep.serving.chat import user
from isheep.serving.engines.base import Completion, Sampling, Score

NGRAM = 4


class Heldout(Benchmark):
    """Held-out pairs: bits per byte, preference of the right answer, stopping, repetition."""

    headline: ClassVar[tuple[str, ...]] = ("heldout_bits_per_byte", "heldout_preference")
    scored: ClassVar[str] = "the reference, by how likely the model finds it"
    manner: ClassVar[tuple[str, ...]] = tuple(
        f"heldout_{name}" for name in ("stops", "empty", "repetition", "answer_tokens", "too_long")
    )

    kind: Literal["heldout"] = "heldout"
    max_tokens: int = Field(256, ge=1, description="New tokens of an answer at most.")

    def load(self) -> list[Item]:
        """Return the pairs of a file, each with the mismatched answer that it is compared with.

        Rows have id, instruction, input (may be empty or absent) and output; Self-Instruct's files, with `instances`,
        are read as they are. The mismatched answer is another item's, the nearest in length (bytes), so that length
        alone decides nothing; it depends on the whole file, not on `limit`.
        """
        items = load_items(self.data, pair)
        if len({item.fields["output"] for item in items}) < 2:
            raise UserError(f"{self.path}: at least two pairs with different answers are needed")
        return [Item(item.id, item.fields | {"mismatched": mismatched(items, item)}) for item in items[: self.limit]]

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return two things to ask: the log-likelihoods of both answers, and an answer drawn greedily."""
        turns = tuple(user(item.fields["prompt"]))
        pair = (item.fields["output"], item.fields["mismatched"])
        asks = [
            Ask("likelihood", turns, continuations=pair),
            Ask("answer", turns, sampling=Sampling(0.0, 1.0, self.max_tokens)),
        ]
        return [ask for ask in asks if ask.key not in answers]

    def beside(self, item: Item) -> dict[str, str]:
        """Return the human answer."""
        return {"reference": item.fields["output"]}

    def score(self, item: Item, answers: Answers) -> Row:
        """Return bits and bytes of the right answer, whether it is preferred, and how the model's own answer went.

        Bits and preference are None when the pair did not fit the context. Preference compares log-likelihood per
        byte: 1, 0.5 when equal, or 0.
        """
        likelihood, answer = answers["likelihood"], answers["answer"]
        assert isinstance(likelihood, Score) and isinstance(answer, Completion)
        bits = preferred = None
        if likelihood.log_likelihoods:
            texts = (item.fields["output"], item.fields["mismatched"])
            right, wrong = (
                value / len(text.encode()) for value, text in zip(likelihood.log_likelihoods, texts, strict=True)
            )
            bits = -likelihood.log_likelihoods[0] / log(2)
            preferred = 0.5 if abs(right - wrong) < 1e-9 else float(right > wrong)
        return {
            "category": item.fields["category"],
            "too_long": bits is None,
            "bits": bits,
            "bytes": len(item.fields["output"].encode()),
            "preferred": preferred,
            "stopped": answer.finish_reason == "stop",
            "empty": not answer.text.strip(),
            "repetition": repetition(answer.text),
            "tokens": answer.completion_tokens,
        }

    def summarise(self, rows: Sequence[Row]) -> dict[str, Metric]:
        """Return bits per byte (pooled), preference, stopping, emptiness, repetition and length."""
        fit = [row for row in rows if row["bits"] is not None]
        bits = ((row["id"], row["bits"], row["bytes"]) for row in fit)
        return {
            "heldout_bits_per_byte": ratio(bits, "bits per byte", "lower"),
            "heldout_preference": mean(fit, "preferred"),
            "heldout_stops": mean(rows, "stopped"),
            "heldout_empty": mean(rows, "empty", better="lower"),
            "heldout_repetition": mean(rows, "repetition", better="lower"),
            "heldout_answer_tokens": mean(rows, "tokens", "tokens", ""),
            "heldout_too_long": mean(rows, "too_long", better="lower"),
        }

    def groups(self, rows: Sequence[Row]) -> dict[str, dict[str, Metric]]:
        """Return the metrics per category, where the file has any."""
        categories = sorted({row["category"] for row in rows} - {""})
        return {name: self.summarise([row for row in rows if row["category"] == name]) for name in categories}


def repetition(text: str) -> float:
    """Return the share of word 4-grams that occurred before in the text (0 none, near 1 a loop)."""
    words = text.split()
    grams = [tuple(words[start : start + NGRAM]) for start in range(len(words) - NGRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
