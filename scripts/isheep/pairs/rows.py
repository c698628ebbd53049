"""Stage pair_answers: candidates become rows of pairs; kinds decide, rows, funnel and floor are the same for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isheep.data.funnel import Funnel
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.pairs.base import Candidate, Decision, PairSource

STAGE = "pair_answers"
COLUMNS = ("chosen", "rejected", "chosen_id", "rejected_id")
KNOWN = ("round", "prompt_id", "history", "instruction", "input")


def pair(
    candidates: Sequence[Candidate],
    settings: PairSource,
    decide: Callable[[Sequence[Candidate]], Sequence[Decision]],
    round_number: int,
) -> tuple[list[Row], list[Row], Funnel]:
    """Return the pairs, the candidates that are none, and the funnel.

    A pair is the row of its better answer with the texts of both; so `output` is the chosen answer, and whatever looks
    at a round's rows sees what the next model is drawn to.

    Parameters
    ----------
    candidates
        In order.
    settings
        Section `pairs`.
    decide
        Compares the answers of candidates that have two different ones.
    round_number
        For the funnel.

    Raises
    ------
    UserError
        Fewer pairs than the floor.
    """
    comparable = [candidate for candidate in candidates if candidate.rule is None]
    decided = iter(decide(comparable))
    funnel = Funnel(STAGE, round_number)
    pairs: list[Row] = []
    rejected: list[Row] = []
    for candidate in candidates:
        decision = Decision(None, candidate.rule) if candidate.rule else next(decided)
        funnel.count(decision.rule)
        if decision.rule is None:
            pairs.append(_pair(candidate, decision))
        else:
            rejected.append(_no_pair(candidate, decision))
    if len(pairs) < settings.floor:
        raise UserError(
            f"{len(pairs)} pairs, fewer than pairs.floor ({settings.floor}). {funnel.line()}. Make more prompts "
            "(prompts.rows) or more answers to each (outputs.samples), or lower the floor"
        )
    return pairs, rejected, funnel


def _pair(candidate: Candidate, decision: Decision) -> Row:
    assert decision.better is not None, f"{candidate.id}: a pair without a better answer"
    chosen, other = candidate.answers[decision.better], candidate.answers[1 - decision.better]
    told = (chosen["output"], other["output"], chosen["id"], other["id"])
    return {**chosen, "id": candidate.id, **dict(zip(COLUMNS, told, strict=True)), **decision.told}


def _no_pair(candidate: Candidate, decision: Decision) -> Row:
    first = candidate.answers[0]
    known = {key: first[key] for key in KNOWN if key in first}
    answers = [row["output"] for row in candidate.answers]
    return {"id": candidate.id, **known, "answers": answers, **decision.told, "rule": decision.rule}
