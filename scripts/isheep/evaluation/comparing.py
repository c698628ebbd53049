"""Two answers shown to a judge in both orders, and what its two verdicts say together."""

from __future__ import annotations

from isheep.data.rows import Row
from isheep.evaluation.base import Answers, Ask
from isheep.evaluation.judge import Method, comparison, read_choice


def both_orders(key: str, request: str, ours: str, theirs: str, method: Method) -> tuple[Ask, Ask]:
    """Return two comparisons: ours shown first (`key-ab`), and second (`key-ba`)."""
    return (
        comparison(f"{key}-ab", request, ours, theirs, method),
        comparison(f"{key}-ba", request, theirs, ours, method),
    )


def read_both(key: str, answers: Answers) -> Row:
    """Return what two comparisons say together.

    win: mean preference for ours (0-1), None unless both were read. first_shown: mean preference for what stood first
    (0.5 without position bias). consistent: whether both orders prefer the same side. unread: replies without verdict.
    """
    first, second = (read_choice(answers[f"{key}-{order}"]) for order in ("ab", "ba"))
    if first is None or second is None:
        return {"win": None, "first_shown": None, "consistent": None, "unread": (first is None) + (second is None)}
    sides = {(value > 0.5) - (value < 0.5) for value in (first, 1 - second)}
    return {
        "win": (first + 1 - second) / 2,
        "first_shown": (first + second) / 2,
        "consistent": float(len(sides) == 1),
        "unread": 0,
    }
