"""Answers to one prompt, and what a pair source makes of them."""

from __future__ import annotations

from typing import Any

from isheep.outputs.answers import sampled
from isheep.pairs.base import PairSource
from isheep.pairs.rows import pair


def answers(prompt: str, *scored: tuple[str, float]) -> list[dict]:
    """Return rows of answers (text, score) to a prompt, as stages before the pairs leave them."""
    task = {"id": prompt, "round": 0, "instruction": f"Do {prompt}.", "input": ""}
    rows = list(sampled([task], len(scored)))
    return [{**row, "output": text, "quality": score} for row, (text, score) in zip(rows, scored, strict=True)]


def made(source: PairSource, rows: list[dict], result: Any = lambda _: None, model: Any = None, run: Any = None) -> Any:
    """Return pairs, rejected candidates and the funnel."""
    return pair(source.candidates(rows, run), source, lambda some: source.decide(some, model, result), 0)
