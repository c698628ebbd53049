"""The scale from 1 to 10: its candidates, their probabilities, and the score in a generated text."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from isheep.serving.chat import gap
from isheep.serving.engines.base import Score

SCALE = tuple(range(1, 11))

_NUMBER = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_LABEL = r"\b(?:score|rating)[*_\s]*[:=][*_\s]*"
_OF_TEN = r"(?:\s*/\s*10|\s+out\s+of\s+10)(?!\.?[0-9])"
_ALONE = re.compile(rf"[*_]*({_NUMBER})[*_]*[.!]?")
# With its label or its scale a score may be followed by words, but by no other number: "Score: 8 or 9" is none.
_NAMED = re.compile(
    rf"[*_]*(?:{_LABEL}({_NUMBER})(?:{_OF_TEN})?|({_NUMBER}){_OF_TEN})(?!\s+(?:to|or)\b)(?:[*_\s.,;:!]\D*)?",
    re.IGNORECASE,
)
_ANYWHERE = re.compile(rf"{_LABEL}({_NUMBER})|(?<![0-9.])({_NUMBER}){_OF_TEN}", re.IGNORECASE)


def candidates(cue: str) -> tuple[str, ...]:
    """Return the ten continuations "1" to "10", each with a space in front unless the cue ends in white space."""
    return tuple(f"{gap(cue)}{score}" for score in SCALE)


@dataclass(frozen=True)
class Belief:
    """Probabilities of the scores 1 to 10 (shape: 10, sum 1) and `mass`, what the model gave all ten together (0-1)."""

    probabilities: tuple[float, ...]
    mass: float

    @property
    def expected(self) -> float:
        """The mean score, 1-10."""
        return math.fsum(score * share for score, share in zip(SCALE, self.probabilities, strict=True))

    @property
    def greedy(self) -> int:
        """The likeliest score, 1-10; the lowest of equally likely ones."""
        return SCALE[self.probabilities.index(max(self.probabilities))]


def belief(score: Score) -> Belief | None:
    """Return what the model believes about the ten candidates; None when they were not scored.

    A tokenizer that writes "10" as "1", "0" makes log p("1") the probability that the text begins with 1, ten included.
    The event "10" is then a part of the event "1" and is taken out of it. Whether it is so shows in the token counts:
    "10" has more tokens than "1". When "10" is a token of its own the two exclude each other already.

    Parameters
    ----------
    score
        Log-likelihoods of the ten candidates in the order 1 to 10.
    """
    logs = score.log_likelihoods
    if not logs or any(math.isnan(log) for log in logs) or max(logs) == -math.inf:
        return None
    peak = max(logs)
    shares = [math.exp(log - peak) for log in logs]
    if score.tokens[-1] > score.tokens[0]:
        shares[0] = max(0.0, shares[0] - shares[-1])
    total = math.fsum(shares)
    return Belief(tuple(share / total for share in shares), min(1.0, math.exp(peak) * total))


def parse_score(text: str) -> float | None:
    """Return the score (1-10) with which a generated text begins; None when there is none, or more than one.

    A score is a number alone on its line or before "||" (the paper's form, Appendix A), or one with a label or its
    scale, like "Score: 9", "9/10" or "9 out of 10", which words may follow. Decimals are kept. A range, another scale,
    a number in words or in other digits, a number outside 1-10, an item of a numbered list, and a text that states a
    second, different score are not read as scores.
    """
    segments = [part.strip() for part in re.split(r"\n|\|\|", text.strip())]
    first = _ALONE.fullmatch(segments[0]) or _NAMED.fullmatch(segments[0])
    if first is None:
        return None
    alone = filter(None, map(_ALONE.fullmatch, segments))
    values = {_value(match) for match in [first, *alone, *_ANYWHERE.finditer(text)]}
    score = values.pop()
    return score if not values and SCALE[0] <= score <= SCALE[-1] else None


def _value(match: re.Match[str]) -> float:
    return float(match[match.lastindex or 0])
