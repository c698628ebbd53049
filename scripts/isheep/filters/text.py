"""What the rules of both stages ask of a text: broken characters, control tokens, loops."""

from __future__ import annotations

import re
from itertools import accumulate
from operator import eq

from isheep.data.text import UNSPACED


def phrases(*lists: str) -> re.Pattern[str]:
    """Compile comma-separated lists of words and phrases into one pattern that finds any of them, whole, in any case.

    An asterisk stands for the rest of a word, and a blank for one or more.
    """
    entries = [entry.strip() for entry in ",".join(lists).split(",")]
    return re.compile(
        r"\b(?:"
        + "|".join(re.escape(entry).replace(r"\*", r"\w*").replace(r"\ ", r"\s+") for entry in entries)
        + r")\b",
        re.IGNORECASE,
    )


BROKEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffd-\uffff]")

CONTROL_TOKEN = re.compile(
    r"<[|\uff5c][^\s<>|\uff5c]{1,40}[|\uff5c]>"  # <|endoftext|> and its relatives
    r"|<(?:start|end)_of_turn>"  # Gemma
    r"|\[/?INST\]|<</?SYS>>"  # Llama 2
)
OPENING_S = re.compile(r"<s[ >]", re.IGNORECASE)
CLOSING_S = re.compile(r"</s>", re.IGNORECASE)

NO_INPUT = re.compile(r"\bnoinput\b|[<(\[]\s*no[ -]input\s*[>)\]]", re.IGNORECASE)

LIST_MARK = re.compile(r"^[ \t]*(?:\d{1,4}[.)]|[-*\u2022])[ \t]+", re.MULTILINE)
REPETITION = phrases("lyrics, repeat*, repetit*, times")
"""A prompt with one of these may ask for repetition."""
LETTERS = re.compile(r"([^\W\d_])\1{39}|([^\W\d_]{2,8}?)\2{19}")
_TOKEN = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
_LONGEST_CYCLE = 64
_LOOP_LETTERS = 30
_LOOP_OF_LETTERS = 40  # letters of the shortest match of LETTERS


def fold(text: str) -> str:
    """Return the text with case folded, runs of blanks made one, and blanks and end marks cut off its ends."""
    return " ".join(text.casefold().split()).rstrip(" .:!?\u3002")


def has_broken_characters(text: str) -> bool:
    """Return True for control characters (tab and line ends aside), lone surrogates and U+FFFD."""
    return bool(BROKEN.search(text))


def has_control_token(text: str) -> bool:
    """Return True for text that a tokenizer would read as a turn's start or end; `</s>` is HTML after an `<s>`."""
    return bool(CONTROL_TOKEN.search(text) or (CLOSING_S.search(text) and not OPENING_S.search(text)))


def loops(text: str) -> bool:
    """Return True when the text goes round in circles.

    A cycle of 1 to 64 words comes at least 10 times in a row, or 5 times over at least 30 words, with 30 letters or
    more in all (list marks at line starts do not count); or a cycle of up to 8 letters comes 20 times without a blank,
    one letter 40 times; or, among 200 words and more, fewer than one in six three-word sequences is new.
    """
    if any(len(word) >= _LOOP_OF_LETTERS for word in text.split()) and LETTERS.search(text):
        return True
    tokens = _TOKEN.findall(LIST_MARK.sub("", text.casefold()))
    triples = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    known = len(triples) - len(set(triples))  # in a cycle all triples but those of its first turn are
    if known < _needed(1) - 2 and len(tokens) < 200:  # a period of one word needs fewest
        return False
    letters = [0, *accumulate(sum(map(str.isalpha, token)) for token in tokens)]
    if letters[-1] < _LOOP_LETTERS:
        return False
    for period in range(1, min(_LONGEST_CYCLE, len(tokens) // 5) + 1):
        needed = _needed(period)
        if known < needed - 2 or sum(map(eq, tokens, tokens[period:])) < needed:
            continue
        run = 0
        for here in range(period, len(tokens)):
            run = run + 1 if tokens[here] == tokens[here - period] else 0
            if run >= needed and letters[here + 1] - letters[here + 1 - run - period] >= _LOOP_LETTERS:
                return True
    return len(tokens) >= 200 and 6 * (len(triples) - known) < len(triples)


def _needed(period: int) -> int:
    """Return how many words in a row must be as those a period before."""
    return min(10 * period, max(5 * period, 30)) - period
