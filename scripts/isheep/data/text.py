"""Words and letters of any script."""

from __future__ import annotations

import re

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Letters of scripts without blanks between words (Thai, Lao, Burmese, Khmer, Chinese, Japanese), as a class."""
WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Return the runs of letters, digits and underscores in the text, case folded."""
    return WORD.findall(text.casefold())
