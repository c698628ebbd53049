"""Rubric templates, and the pair under judgement put into them so that it cannot speak for the judge."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path

from isheep.data.files import digest
from isheep.errors import Problems, UserError
from isheep.serving.chat import ZERO_WIDTH_SPACE, neutralise

PLACEHOLDER = re.compile(r"\{(instruction|output)\}")
FENCE = "[["
STRUCK = "…"
_NUMBER = r"(?:[0-9]+(?:\.[0-9]+)?|\b(?:one|two|three|four|five|six|seven|eight|nine|ten)\b)"
_LABEL = r"\b(?:score|rating|grade|mark)s?\b[\s*_]*(?:[:=]|is\b|of\b)"
_LOOKALIKE = re.compile(r"\[(?=\s*\[\s*(?:begin|end)\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Rubric:
    """A rubric: `body` with the placeholders {instruction} and {output}, and `cue`, after which the score stands."""

    body: str
    cue: str

    @cached_property
    def _stated(self) -> re.Pattern[str]:
        labels = rf"(?:{_LABEL}|{re.escape(self.cue.strip())})[\s*_]*"
        scale = r"(?=\s*/\s*10\b|\s+out\s+of\s+(?:10|ten)\b|\s*\|\|)"
        return re.compile(rf"({labels}){_NUMBER}|{_NUMBER}{scale}", re.IGNORECASE)

    def fill(self, instruction: str, output: str, control_tokens: Iterable[str]) -> str:
        """Return the body with the pair in it, each text between a pair of fences that it cannot close.

        The fences carry a code from the hash of both texts, so that it is known to neither; what looks like a fence
        inside a text is broken, and so is every control token. A score that a text states, behind a label or the cue
        or on the scale, is struck out: small models copy it. Both are filled in at once: braces stay text.
        """
        texts = {"instruction": instruction, "output": output}
        for name, text in texts.items():
            broken = harmless(text, control_tokens)
            texts[name] = self._stated.sub(lambda match: f"{match[1] or ''}{STRUCK}", broken)
        shown = fenced(texts)
        return PLACEHOLDER.sub(lambda match: shown[match[1]], self.body)


def harmless(text: str, control_tokens: Iterable[str]) -> str:
    """Return a text in which every control token, and what looks like a fence, is broken by a zero-width space."""
    return _LOOKALIKE.sub(f"[{ZERO_WIDTH_SPACE}", neutralise(text, control_tokens))


def fenced(texts: Mapping[str, str]) -> dict[str, str]:
    """Return texts by name, each between a pair of fences that it cannot close: their code is in none of them."""
    code = _code(texts)
    return {name: _fence(name, text, code) for name, text in texts.items()}


def _code(texts: Mapping[str, str]) -> str:
    """Return eight hex digits that follow from the texts and occur in none."""
    codes = (digest([*texts.values(), salt])[:8] for salt in count())
    return next(code for code in codes if not any(code in text for text in texts.values()))


def _fence(name: str, text: str, code: str) -> str:
    return f"{FENCE}begin {name} {code}]]\n{text}\n{FENCE}end {name} {code}]]"


def read_rubric(path: str | Path) -> Rubric:
    """Return the rubric of a template file; its last line is the cue.

    Raises
    ------
    UserError
        The file is missing, or lists all that is wrong with it.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"{path}: cannot read the rubric ({reason}); set assess.assessors.rubric to a file") from None
    body, _, cue = text.removesuffix("\n").rpartition("\n")
    problems = Problems(str(path))
    for name in ("instruction", "output"):
        if (times := PLACEHOLDER.findall(body).count(name)) != 1:
            problems.add(f"{{{name}}}", f"must stand once above the last line, stands there {times} times")
    if not cue.strip():
        problems.add("last line", "is empty; write the cue after which the score stands, like Score:")
    if PLACEHOLDER.search(cue):
        problems.add("last line", "is the cue after which the score stands; it may hold no placeholder")
    problems.raise_if_any()
    return Rubric(body.rstrip(), cue)
