"""Words and letters of any script."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Literal

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
"""Letters of scripts without blanks between words (Thai, Lao, Burmese, Khmer, Chinese, Japanese), as a class."""
WORD = re.compile(r"\w+")
ROUGE_TOKEN = re.compile("[a-z0-9]+")
ZERO_WIDTH_SPACE = "\u200b"

Tokens = Literal["words", "rouge"]


def words(text: str) -> list[str]:
    """Return the runs of letters, digits and underscores in the text, case folded."""
    return WORD.findall(text.casefold())


def word_tokens(text: str) -> list[str]:
    """Return the words of a text in any script, for comparing it with others.

    A word is a run of letters, combining marks and numbers (Unicode categories L, M, N: Hindi vowel signs are marks) in
    the case-folded text; where no blanks stand between words (`UNSPACED`), it is one character. Compatible forms are
    one (NFKC: full-width letters, composed and decomposed accents), and invisible characters such as joiners, soft
    hyphens and the variation selectors of emoji do not part words. On ASCII these are the tokens of `rouge_tokens`.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return text.casefold().translate(_SPACED).split()


def rouge_tokens(text: str) -> list[str]:
    """Return the tokens that rouge_score (without stemming) sees: runs of a-z and 0-9 in the lower-cased text."""
    return ROUGE_TOKEN.findall(text.lower())


TOKENS: Mapping[Tokens, Callable[[str], list[str]]] = {"words": word_tokens, "rouge": rouge_tokens}


class _Spaced(dict[int, str]):
    """For `str.translate`: a character of a word stays, with blanks around it where it is a word; others are blanks."""

    _alone = re.compile(f"[{UNSPACED}]")
    _selector = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if self._selector.match(character) or (category == "Cf" and character != ZERO_WIDTH_SPACE):
            spaced = ""
        elif category[0] not in "LMN":
            spaced = " "
        else:
            spaced = f" {character} " if self._alone.match(character) else character
        self[code] = spaced
        return spaced


_SPACED = _Spaced()
