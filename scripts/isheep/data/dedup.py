"""Exact near-duplicate search: ROUGE-L F1 on rouge_score's tokens, decided in integers."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

WORD = re.compile(r"[a-z0-9]+")


def tokenise(text: str) -> list[str]:
    """Return the tokens that rouge_score (without stemming) sees: runs of a-z and 0-9 in the lower-cased text."""
    return WORD.findall(text.lower())


class NearDuplicates:
    """A growing pool of texts that tells whether a new one is too like an earlier one.

    ROUGE-L F1 of two texts with m and n tokens is 2 LCS / (m + n) (Lin 2004). A text is a near-duplicate iff that is
    above the threshold, which is compared in integers so that ties do not hang on rounding: at 0.7, iff
    20 LCS > 7 (m + n). A text without tokens (another script, only signs) is a duplicate of an equal text only.

    Parameters
    ----------
    threshold
        ROUGE-L F1 (0-1) above which a text is a near-duplicate.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = Fraction(str(threshold))
        self._letters: dict[str, str] = {}
        self._by_length: dict[int, tuple[list[str], list[str]]] = {}
        self._without_tokens: dict[str, str] = {}

    def add(self, key: str, text: str) -> None:
        """Put a text into the pool under a key (its row's id)."""
        coded = self._code(text)
        if coded:
            keys, texts = self._by_length.setdefault(len(coded), ([], []))
            keys.append(key)
            texts.append(coded)
        else:
            self._without_tokens.setdefault(_fold(text), key)

    def find(self, text: str) -> str | None:
        """Return the key of an earlier text of which this is a near-duplicate, or None."""
        from rapidfuzz.distance import LCSseq
        from rapidfuzz.process import extractOne

        coded = self._code(text)
        if not coded:
            return self._without_tokens.get(_fold(text))
        for length, (keys, texts) in self._by_length.items():
            least = self._least_common(len(coded), length)
            if least > min(len(coded), length):
                continue
            found: Any = extractOne(coded, texts, scorer=LCSseq.similarity, score_cutoff=least, processor=None)
            if found is not None:
                return keys[found[2]]
        return None

    def _least_common(self, m: int, n: int) -> int:
        """Return the smallest LCS (tokens) that makes texts of m and n tokens near-duplicates."""
        return int(self.threshold * (m + n) / 2) + 1

    def _code(self, text: str) -> str:
        """Return the tokens as one character each: rapidfuzz compares strings of them at C speed."""
        return "".join(self._letters.setdefault(word, chr(0x100 + len(self._letters))) for word in tokenise(text))


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())
