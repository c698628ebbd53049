"""Can an assessor tell an answer to this prompt from an answer to another? Measured as AUC, with an interval."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest

from isheep.assess.base import Assessor, Result
from isheep.data.files import digest
from isheep.data.rows import Row
from isheep.documents.rounds import AssessorCheck, Discrimination, Verdict

Z = 1.959963984540054  # two-sided 95 %


def sample_pairs(rows: Iterable[Row], pairs: int, seed: int) -> list[tuple[Row, Row]]:
    """Draw rows, and give each a copy of itself whose output is another row's.

    The outputs are handed round within the sample, each used once, by a shift as long as the largest group of equal
    outputs; so no row gets its own or an equal one. (Where more than half of the outputs are equal, the rows for which
    that cannot be are left out.) White space and case do not make outputs different.

    Parameters
    ----------
    rows
        Rows with id, instruction, input and output, walked more than once; of several answers to one prompt, one at
        most is drawn.
    pairs
        Rows to draw at most.
    seed
        Decides which; the order of `rows` does not matter.

    Returns
    -------
    list
        (row, mismatched copy); the copy's id is `{row id}/shuffled`, all its other fields are the row's own.
    """
    drawn = _of_different_prompts(rows, pairs, lambda row: digest([seed, row["id"]]))
    groups: dict[str, list[Row]] = {}
    for row in drawn:
        groups.setdefault(_plain(row), []).append(row)
    ordered = [row for group in groups.values() for row in group]
    shift = max(map(len, groups.values()), default=0)
    shuffled = []
    for row, other in zip(ordered, ordered[shift:] + ordered[:shift], strict=True):
        if _plain(row) != _plain(other):
            shuffled.append((row, {**row, "id": f"{row['id']}/shuffled", "output": other["output"]}))
    return shuffled


def _of_different_prompts(rows: Iterable[Row], count: int, place: Callable[[Row], str]) -> list[Row]:
    """Return the first rows of different prompts: another answer to the same prompt would be no wrong one."""
    looked_at = count
    while True:
        drawn = nsmallest(looked_at, rows, key=place)  # holds no more than these
        first: dict[str, Row] = {}
        for row in drawn:
            first.setdefault(row["prompt_id"] if "prompt_id" in row else row["id"], row)
        if len(first) >= count or len(drawn) < looked_at:
            return list(first.values())[:count]
        looked_at *= 2


def _plain(row: Row) -> str:
    return " ".join(row["output"].split()).casefold()


def auc(matched: Sequence[float], shuffled: Sequence[float]) -> tuple[float, float, float]:
    """Return the AUC (0-1) and its 95 % interval: how often a matched score is above a shuffled one, ties as half.

    The interval is Newcombe's method 5 (Statistics in Medicine 25, 2006): the values whose Hanley-McNeil standard error
    does not put the AUC found out of reach. It stays inside 0-1 and keeps a width at an AUC of exactly 1, where
    DeLong's and the bootstrap's have none.

    Raises
    ------
    ValueError
        One of the two is empty.
    """
    if not matched or not shuffled:
        raise ValueError("both kinds of pairs are needed")
    ranked = sorted(shuffled)
    doubled = sum(bisect_left(ranked, score) + bisect_right(ranked, score) for score in matched)
    area = doubled / (2 * len(matched) * len(shuffled))
    sizes = (len(matched), len(shuffled))
    return area, _limit(area, 0.0, sizes), _limit(area, 1.0, sizes)


def _limit(area: float, end: float, sizes: tuple[int, int]) -> float:
    """Return the value between `found` and `end` that lies Z of its own standard errors from `found`, by bisection."""
    near, far = area, end
    for _ in range(60):
        middle = (near + far) / 2
        if abs(middle - area) <= Z * _standard_error(middle, *sizes):
            near = middle
        else:
            far = middle
    return near


def _standard_error(value: float, matched: int, shuffled: int) -> float:
    extra = (matched + shuffled) / 2 - 1
    spread = 1 + extra * ((1 - value) / (2 - value) + value / (1 + value))
    return math.sqrt(value * (1 - value) * spread / (matched * shuffled))


def discrimination(
    pairs: Sequence[tuple[Row, Row]], assessors: Iterable[Assessor], result: Result, warn_below: float
) -> Discrimination:
    """Return for each assessor {n, auc, low, high, verdict}.

    `n` counts the pairs of which both sides got a score. The verdict is `separates`, `weak` (AUC below `warn_below`),
    `chance` (the interval holds 0.5), `inverted` (the interval lies below 0.5) or `unmeasured` (no pair got scores).
    Without pairs there is nothing to say of any assessor, nor ever of one that does not judge: it is left out.
    """
    judging = [assessor for assessor in assessors if assessor.judges and pairs]
    return {assessor.name: _measure(pairs, assessor, result, warn_below) for assessor in judging}


def _measure(pairs: Sequence[tuple[Row, Row]], assessor: Assessor, result: Result, warn_below: float) -> AssessorCheck:
    scores = [[assessor.columns_of(row, result)[assessor.name] for row in pair] for pair in pairs]
    both = [
        (right, wrong) for right, wrong in scores if isinstance(right, int | float) and isinstance(wrong, int | float)
    ]
    return checked([pair[0] for pair in both], [pair[1] for pair in both], len(both), warn_below)


def checked(matched: Sequence[float], shuffled: Sequence[float], pairs: int, warn_below: float) -> AssessorCheck:
    """Return how well scores that should be high stand above those that should be low, measured on so many pairs."""
    if not matched or not shuffled:
        return {"n": 0, "auc": None, "low": None, "high": None, "verdict": "unmeasured"}
    found, low, high = auc(matched, shuffled)
    verdict = _verdict(found, low, high, warn_below)
    return {"n": pairs, "auc": round(found, 4), "low": round(low, 4), "high": round(high, 4), "verdict": verdict}


def _verdict(area: float, low: float, high: float, warn_below: float) -> Verdict:
    if high < 0.5:
        return "inverted"
    if low <= 0.5:
        return "chance"
    return "weak" if area < warn_below else "separates"


_MEANING = {
    "inverted": "puts answers to another prompt above the right ones",
    "chance": "cannot tell an answer to this prompt from an answer to another",
    "weak": "hardly tells an answer to this prompt from an answer to another",
    "unmeasured": "could not be checked: no pair got a score on both sides",
}


def warnings(measured: Discrimination) -> list[str]:
    """Return a line for every assessor that does not separate matched from shuffled pairs."""
    lines = []
    for name, check in measured.items():
        if check["verdict"] == "separates":
            continue
        figures = f"AUC {check['auc']}, 95 % interval {check['low']} to {check['high']}, {check['n']} pairs"
        lines.append(
            f"assessor {name} {_MEANING[check['verdict']]}"
            + (f" ({figures})" if check["n"] else "")
            + "; do not select by it: use a stronger judge, or another column such as pmi (docs/assessment.md)"
        )
    return lines
