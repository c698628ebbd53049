"""Questions with short answers: asked, cut to their first line, and made comparable.

Each benchmark of them is scored twice on one and the same answer: as its authors do, and as OpenCompass does, on which
the paper's numbers rest. The two are not comparable and have separate names.
"""

from __future__ import annotations

import re

from isheep.evaluation.base import Ask
from isheep.serving.chat import user
from isheep.serving.engines.base import Sampling


def ask(prompt: str, max_tokens: int) -> list[Ask]:
    """Return the one request, greedy."""
    return [Ask("answer", tuple(user(prompt)), sampling=Sampling(0.0, 1.0, max_tokens))]


def first_line(text: str) -> str:
    """Return the first line that is not blank, stripped."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def without_articles(text: str) -> str:
    """Return text, given in lower case, without English articles and extra blanks."""
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def plain(text: str) -> str:
    """Return text up to the first line end, full stop or comma, without punctuation, articles, extra blanks.

    OpenCompass's general post-processing; unlike the official ones it keeps case and cuts.
    """
    head = re.split(r"[\n.,]", text, maxsplit=1)[0]
    words = re.sub(r"\b(a|an|the)\b", "", re.sub(r"[^\w\s]", "", head), flags=re.IGNORECASE)
    return " ".join(words.split())
