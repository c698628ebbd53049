"""The health of a round's data as its card tells it: a line for each measure that says something by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Where health.json has a measure: what the card calls it.
MEASURES = {
    "lengths/output/tokens/p50": "tokens of an answer, median",
    "lengths/output/tokens/p95": "tokens of an answer, 95th percentile",
    "lengths/output/share_empty": "empty answers, share",
    "lengths/output/share_at_limit": "answers cut at the token limit, share",
    "diversity/instruction/distinct_2": "different word pairs in instructions, share",
    "diversity/output/distinct_2": "different word pairs in answers, share",
    "diversity/instruction/self_bleu": "self-BLEU of instructions (100: all alike)",
    "diversity/instruction/vendi": "Vendi score of instructions (how many unlike ones)",
    "duplicates/near/instruction/within_round": "near-duplicate instructions in the round, share",
    "duplicates/near/instruction/seeds": "instructions that nearly repeat a seed, share",
    "duplicates/near/instruction/earlier_rounds": "instructions that nearly repeat an earlier round, share",
    "perplexity": "perplexity under the base model",
}


Measured = tuple[str, float, int]  # what is measured, its number, and of how many rows


def tell_health(health: dict[str, Any]) -> tuple[list[Measured], list[str]]:
    """Return what is measured with its number, and the alarms that rang, in words.

    Parameters
    ----------
    health
        What stage measure_data writes; measures that a run leaves out are left out here.
    """
    return [*_measures(health), *_overlaps(health)], [alarm["message"] for alarm in health.get("alarms", [])]


def _measures(health: dict[str, Any]) -> Iterator[Measured]:
    for place, name in MEASURES.items():
        *folders, last = place.split("/")
        around: Any = health
        for key in folders:
            around = around.get(key) if isinstance(around, dict) else None
        told = around.get(last) if isinstance(around, dict) else None
        if isinstance(told, dict):  # a percentile is a number beside its n, every other measure holds its own
            around, told = told, told.get("value")
        if told is not None:
            yield name, told, around["n"]


def _overlaps(health: dict[str, Any]) -> Iterator[Measured]:
    for evaluation, sizes in health.get("overlap", {}).items():
        for size, told in sizes.items():
            share = told["share"]
            yield f"rows that share {size} words in a row with `{evaluation}`, share", share["value"], share["n"]
