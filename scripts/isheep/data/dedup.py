"""Exact near-duplicate search: ROUGE-L F1 above a threshold, decided in integers."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Hashable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from isheep.data.text import TOKENS, Tokens

EXTRA = 4  # terms looked up beyond those of which a near-duplicate holds one: of all of them it holds one more each
LONG_LIST = 256  # texts with a word from which on their list is parted by length
CHUNK = 4096  # candidates whose words are counted together


class NearDuplicates:
    """A growing pool of texts that tells whether a new one is too like an earlier one.

    ROUGE-L F1 of two texts with m and n tokens is 2 LCS / (m + n) (Lin 2004). A text is a near-duplicate iff that is
    above the threshold, which is compared in integers so that ties do not hang on rounding: at 0.7, iff
    20 LCS > 7 (m + n). A text without tokens (only signs) is a duplicate of an equal text only.

    The LCS of two texts is at most the number of tokens that they share in any order. So a text that needs t common
    tokens shares one of its m - t + 1 rarest, and five of its m - t + 5 rarest (prefix filter, Chaudhuri et al. 2006).
    An index of the texts with each word gives these candidates, their shared tokens are counted, and the LCS is
    computed for the few that share enough. Memory grows with the number of tokens.

    Parameters
    ----------
    threshold
        ROUGE-L F1 (above 0, at most 1) above which a text is a near-duplicate.
    tokens
        What a text is compared by: a key of `text.TOKENS`.
    """

    def __init__(self, threshold: float, tokens: Tokens = "words") -> None:
        self._share = Fraction(str(threshold)) / 2  # of the tokens of both: a near-duplicate's LCS is above it
        self._tokenise = TOKENS[tokens]
        self._codes: dict[Hashable, int] = {}
        self._texts = _Texts()
        self._index = _Index(self._texts.lengths)
        self._keys: list[str] = []
        self._without_tokens: dict[str, list[str]] = {}
        self._admitted: dict[str, str | None] = {}

    def add(self, key: str, text: str) -> None:
        """Put a text into the pool under a key (its row's id)."""
        tokens = self._tokenise(text)
        if not tokens:
            self._without_tokens.setdefault(_fold(text), []).append(key)
            return
        terms = [self._codes.setdefault(term, len(self._codes)) for term in _terms(tokens)]
        self._texts.add([self._codes[token] for token in tokens], len(self._codes))
        self._index.add(terms, len(self._keys))
        self._keys.append(key)

    def find(self, text: str) -> str | None:
        """Return the key of the earliest added text of which this is a near-duplicate, or None."""
        return next(iter(self._near(text, only_first=True)), None)

    def find_all(self, text: str) -> list[str]:
        """Return the keys of all added texts of which this is a near-duplicate, which are so of this, too."""
        return self._near(text, only_first=False)

    def _near(self, text: str, only_first: bool) -> list[str]:
        tokens = self._tokenise(text)
        if not tokens:
            return self._without_tokens.get(_fold(text), [])
        codes = [self._codes.get(token, -1) for token in tokens]
        near = self._texts.near(codes, self._candidates(tokens), self._share, only_first)
        return [self._keys[place] for place in near]

    def admit(self, key: str, text: str) -> str | None:
        """Put a text into the pool unless it is a near-duplicate; return the key of what it is like, or None.

        A key that was admitted or refused before gets the same answer without a search: a pool that is kept from wave
        to wave compares only what is new, though the same rows come again from the first.
        """
        if key not in self._admitted:
            like = self._admitted[key] = self.find(text)
            if like is None:
                self.add(key, text)
        return self._admitted[key]

    def _candidates(self, tokens: Sequence[str]) -> Any:
        """Return the places, ascending, of all near-duplicates and of some other texts."""
        import numpy as np

        m, above, of = len(tokens), self._share.numerator, self._share.denominator
        shortest = above * m // (of - above) + 1  # tokens of a text that can have an LCS above its share
        least = above * (m + shortest) // of + 1
        terms = [code for term in _terms(tokens) if (code := self._codes.get(term)) is not None]
        terms.sort(key=self._index.frequencies.__getitem__)
        extra = min(EXTRA, least - 1)
        lists: list[Any] = []
        for rank, term in enumerate(terms):
            # A longer text needs more common tokens than there are from here on.
            longest = (of * (len(terms) - rank + extra) - 1) // above - m
            if longest < shortest:
                break
            lists += self._index.lists(term, shortest, longest)
        if len(terms) < least or not lists:
            return np.empty(0, np.intp)
        return self._texts.in_more_than(extra, np.frombuffer(b"".join(lists), np.int32).astype(np.intp))


class _Texts:
    """Texts as codes of words, end to end; counts over them are done for many at once."""

    def __init__(self) -> None:
        import numpy as np

        self.lengths = array("i")
        self._starts = array("q")
        self._words = array("i")
        self._counts = np.zeros(1024, np.int32)  # by text; 0 between calls
        self._own = np.zeros(1024, bool)  # by word; False between calls

    def add(self, words: Sequence[int], vocabulary: int) -> None:
        import numpy as np

        self._starts.append(len(self._words))
        self._words.extend(words)
        self.lengths.append(len(words))
        if len(self.lengths) > len(self._counts):
            self._counts = np.zeros(2 * len(self._counts), np.int32)
        if vocabulary > len(self._own):
            self._own = np.zeros(2 * vocabulary, bool)

    def in_more_than(self, count: int, places: Any) -> Any:
        """Return, ascending and once each, the places that stand more than `count` times in an array of them."""
        import numpy as np

        if count:
            np.add.at(self._counts, places, np.int32(1))
            often = places[self._counts[places] > count]
            self._counts[places] = 0
            places = often
        places.sort()
        return places

    def near(self, words: Sequence[int], places: Any, share: Fraction, only_first: bool) -> list[int]:
        """Return the places, or the first, whose text has an LCS with `words` above that share of both lengths."""
        import numpy as np
        from rapidfuzz.distance import LCSseq

        near: list[int] = []
        if not len(places):
            return near
        own = np.array([word for word in words if word >= 0], np.intp)
        self._own[own] = True
        try:
            for begin in range(0, len(places), CHUNK):
                for place in self._sharing(len(words), places[begin : begin + CHUNK], share):
                    start, length = self._starts[place], self.lengths[place]
                    least = share.numerator * (len(words) + length) // share.denominator + 1
                    other = self._words[start : start + length].tolist()
                    if LCSseq.similarity(words, other, score_cutoff=least) >= least:
                        near.append(place)
                        if only_first:
                            return near
        finally:
            self._own[own] = False
        return near

    def _sharing(self, length: int, places: Any, share: Fraction) -> list[int]:
        """Return the places whose text has more own words than that share of both lengths."""
        import numpy as np

        lengths = np.frombuffer(self.lengths, np.int32)[places].astype(np.intp)
        ends = lengths.cumsum()
        begins = ends - lengths
        firsts = np.frombuffer(self._starts, np.int64)[places]
        words = np.frombuffer(self._words, np.int32)[np.repeat(firsts - begins, lengths) + np.arange(ends[-1])]
        common = np.add.reduceat(self._own[words], begins, dtype=np.intp)
        return places[common * share.denominator > share.numerator * (length + lengths)].tolist()


class _Index:
    """The places of the texts that hold each term; those of a frequent term are parted by the texts' lengths."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.frequencies = array("i")  # by term
        self._lengths = lengths
        self._lists: list[array[int] | dict[int, array[int]]] = []

    def add(self, terms: Sequence[int], place: int) -> None:
        """Note that a text, which is longer than 0 and whose length is known, holds the terms."""
        band = _band(self._lengths[place])
        for term in terms:
            if term == len(self._lists):
                self._lists.append(array("i"))
                self.frequencies.append(0)
            self.frequencies[term] += 1
            places = self._lists[term]
            if isinstance(places, dict):
                places[band].append(place)
            else:
                places.append(place)
                if len(places) == LONG_LIST:
                    self._part(term, places)

    def lists(self, term: int, shortest: int, longest: int) -> list[array[int]]:
        """Return lists of the places of all texts of these lengths that hold the term, and of some others."""
        places = self._lists[term]
        if not isinstance(places, dict):
            return [places]
        low, high = _band(shortest), _band(longest)
        return [part for band, part in places.items() if low <= band <= high]

    def _part(self, term: int, places: array[int]) -> None:
        parts = self._lists[term] = defaultdict(partial(array, "i"))
        for place in places:
            parts[_band(self._lengths[place])].append(place)


def _band(length: int) -> int:
    """Return the number of the band of lengths, an eighth of a power of two wide from 16 on, that a length is in."""
    shift = max(0, length.bit_length() - 4)
    return (shift << 3) + (length >> shift)


def _terms(tokens: Sequence[str]) -> Sequence[Hashable]:
    """Return the tokens with the repeated ones told apart, so that texts share as many terms as tokens."""
    if len(set(tokens)) == len(tokens):
        return tokens
    counts: dict[str, int] = {}
    terms: list[Hashable] = []
    for token in tokens:
        number = counts[token] = counts.get(token, 0) + 1
        terms.append(token if number == 1 else (token, number))
    return terms


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())
