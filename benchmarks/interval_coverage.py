"""How often the 95 % intervals hold the truth: `PYTHONPATH=scripts python benchmarks/interval_coverage.py [DRAWS]`.

Benchmarks of 24, 71 and 200 items are drawn from made-up models whose true value is known; `before` are the intervals
that this project had first: Wilson's for items that are right or wrong, else the percentile bootstrap. Coverage is in
percent; its own standard error is 0.7 at 1,000 draws and 95 %, and 2.2 for the fitted metrics, drawn 100 times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, sqrt
from statistics import NormalDist

import numpy as np

from isheep.assess.discrimination import auc
from isheep.evaluation.base import Metric, ratio, whole
from isheep.evaluation.intervals import interval, paired
from isheep.evaluation.kinds.mt_bench import rank_correlation
from isheep.evaluation.kinds.pairwise import at_equal_length

SIZES = (24, 71, 200)
RESAMPLES = 1000
FITTED_DRAWS, FITTED_RESAMPLES = 100, 50
Z = NormalDist().inv_cdf(0.975)
Array = np.ndarray
Sums = tuple[Array, Array]
"""What items bring: numerators and denominators, (draws, n) each."""
Limits = tuple[Array, Array]
rng, last_rng = (np.random.Generator(np.random.PCG64(20261126)) for _ in range(2))
"""Of the ratios of sums; of the fitted metrics and the AUC."""


@dataclass(frozen=True)
class Case:
    """Metrics of one kind: `draw(draws, n)` gives the sums of one model, or of two in a difference."""

    name: str
    truth: float
    draw: Callable[[int, int], tuple[Sums, ...]]
    unit: str = "share"


def means(draw: Callable[[tuple[int, int]], Array]) -> Callable[[int, int], tuple[Sums, ...]]:
    """Return the draw of a mean over items."""
    return lambda draws, n: ((draw((draws, n)).astype(float), np.ones((draws, n))),)


def chances(mean: float, correlation: float, shape: tuple[int, int]) -> Array:
    """Return items' chances of success: beta distributed, so that tries of one item are correlated."""
    size = (1 - correlation) / correlation
    return rng.beta(mean * size, (1 - mean) * size, shape)


def instructions(mean: float) -> Callable[[int, int], tuple[Sums, ...]]:
    """Return the draw of pooled instructions, one to three a prompt as often as in IFEval."""

    def draw(draws: int, n: int) -> tuple[Sums, ...]:
        count = rng.choice([1, 2, 3], p=[305 / 541, 179 / 541, 57 / 541], size=(draws, n))
        return ((rng.binomial(count, chances(mean, 0.25, (draws, n))).astype(float), count.astype(float)),)

    return draw


def f1(shape: tuple[int, int]) -> Array:
    """Return F1 scores: half nothing, a fifth all, else anything."""
    kind = rng.random(shape)
    return np.where(kind < 0.5, 0, np.where(kind < 0.7, 1, rng.random(shape)))


def grades(draws: int, n: int, centre: float = 7.0) -> Sums:
    """Return the sums of two grades a question, 1 to 10, correlated."""
    question = rng.normal(centre, 1.5, (draws, n, 1))
    return np.clip(np.rint(question + rng.normal(0, 1.2, (draws, n, 2))), 1, 10).sum(2), np.full((draws, n), 2.0)


def sizes(draws: int, n: int) -> Array:
    """Return bytes of reference answers, spread as in config/evaluation/heldout.jsonl."""
    return np.rint(np.clip(rng.gamma(2.4, 76, (draws, n)), 4, None))


def bits(draws: int, n: int) -> Sums:
    """Return bits and bytes; short answers cost more a byte."""
    size = sizes(draws, n)
    return size * np.exp(rng.normal(0, 0.35, size.shape)) * (1 + 8 / size), size


def large(draw: Callable[[int, int], tuple[Sums, ...]]) -> float:
    """Return what a case's value is over four million items."""
    sides = [above.sum() / below.sum() for above, below in draw(2000, 2000)]
    return float(sides[0] - sides[1] if len(sides) == 2 else sides[0])


def values() -> Iterator[Case]:
    """Yield metrics of one model."""
    for share in (0.0, 0.02, 0.1, 0.5, 0.98, 1.0):
        yield Case(f"right or wrong, {share}", share, means(lambda shape, p=share: rng.random(shape) < p))
    for share in (0.02, 0.1, 0.3, 0.9):
        yield Case(f"1-3 instructions, {share}", share, instructions(share))
    for share, tries in ((0.02, 5), (0.1, 5), (0.5, 5), (0.98, 5), (0.05, 20)):
        draw = means(lambda shape, p=share, k=tries: rng.binomial(k, chances(p, 0.4, shape)) / k)
        yield Case(f"pass@1 of {tries}, {share}", share, draw)
    for odds in ((0.3, 0.4, 0.3), (0.02, 0.1, 0.88), (0.02, 0.96, 0.02), (0.0, 0.9, 0.1)):
        draw = means(lambda shape, p=odds: rng.choice([0, 0.5, 1], p=p, size=shape))
        yield Case(f"win rate, lost/tied/won {odds[0]}/{odds[1]}/{odds[2]}", odds[1] / 2 + odds[2], draw)
    yield Case("F1", 0.35, means(f1))
    yield Case("repetition", 0.2 / 6, means(lambda shape: rng.beta(1, 5, shape) * (rng.random(shape) < 0.2)))
    yield Case("grades of two turns", large(lambda *size: (grades(*size),)), lambda *size: (grades(*size),), "1-10")
    yield Case("bits per byte", large(lambda *size: (bits(*size),)), lambda *size: (bits(*size),), "bits per byte")
    yield Case("words", exp(5 + 0.6**2 / 2), means(lambda shape: rng.lognormal(5, 0.6, shape)), "words")


def changed(before: Sums, change: Array) -> tuple[Sums, ...]:
    """Return both sides of a difference."""
    return (before[0] + change, before[1]), before


def flips(gained: float, lost: float) -> Callable[[int, int], tuple[Sums, ...]]:
    """Return the draw of right-or-wrong items of which some are gained and some lost, as shares of all."""

    def draw(draws: int, n: int) -> tuple[Sums, ...]:
        odds = [gained, lost, (1 - gained - lost) / 2, (1 - gained - lost) / 2]
        kind = rng.choice(4, p=odds, size=(draws, n))
        sides = ((kind == 0) | (kind == 2), (kind == 1) | (kind == 2))
        return tuple((side.astype(float), np.ones((draws, n))) for side in sides)

    return draw


def moved_instructions(gained: float, lost: float) -> Callable[[int, int], tuple[Sums, ...]]:
    """Return the draw of instructions of which missed ones are gained and followed ones lost, each with its chance."""

    def draw(draws: int, n: int) -> tuple[Sums, ...]:
        ((followed, count),) = instructions(0.3)(draws, n)
        missed = (count - followed).astype(int)
        return changed(
            (followed, count), rng.binomial(missed, gained) - rng.binomial(followed.astype(int), lost).astype(float)
        )

    return draw


def moved_tries(share: float, factor: float) -> Callable[[int, int], tuple[Sums, ...]]:
    """Return the draw of five tries a task whose chance grows by a factor."""

    def draw(draws: int, n: int) -> tuple[Sums, ...]:
        chance, below = chances(share, 0.4, (draws, n)), np.ones((draws, n))
        return tuple((rng.binomial(5, np.minimum(chance * by, 1)) / 5, below) for by in (factor, 1.0))

    return draw


def moved_wins(share: float) -> Callable[[int, int], tuple[Sums, ...]]:
    """Return the draw of wins against the same rival, a share of which is judged anew."""

    def draw(draws: int, n: int) -> tuple[Sums, ...]:
        old, new = (rng.choice([0, 0.5, 1], p=[0.3, 0.3, 0.4], size=(draws, n)) for _ in range(2))
        return changed((old, np.ones((draws, n))), np.where(rng.random((draws, n)) < share, new - old, 0))

    return draw


def moved_bits(noise: Callable[[tuple[int, int]], Array]) -> Callable[[int, int], tuple[Sums, ...]]:
    """Return the draw of bits per byte that change by so much a byte."""

    def draw(draws: int, n: int) -> tuple[Sums, ...]:
        before = bits(draws, n)
        return changed(before, before[1] * 0.01 * noise((draws, n)))

    return draw


def differences() -> Iterator[Case]:
    """Yield paired differences of two models."""
    for gained, lost in ((0.0, 0.0), (0.01, 0.0), (0.03, 0.0), (0.03, 0.03), (0.1, 0.05), (0.3, 0.2)):
        yield Case(f"right or wrong, gained {gained}, lost {lost}", gained - lost, flips(gained, lost))
    for gained, lost in ((0.03, 0.0), (0.05, 0.05), (0.15, 0.1)):
        truth = 0.7 * gained - 0.3 * lost
        yield Case(f"instructions, gained {gained}, lost {lost}", truth, moved_instructions(gained, lost))
    for share, factor in ((0.02, 1.0), (0.1, 1.2), (0.5, 1.1)):
        draw = moved_tries(share, factor)
        yield Case(f"pass@1 of 5, {share} times {factor}", large(draw), draw)
    for share in (0.05, 0.5):
        yield Case(f"win rates, {share} judged anew", 0.0, moved_wins(share))
    yield Case("F1, a tenth better", 0.02, lambda draws, n: changed(*both(draws, n, one_sided)))
    yield Case("F1, a third moved", 0.003, lambda draws, n: changed(*both(draws, n, two_sided)))
    better = lambda *size: (grades(*size, 7.3), grades(*size))  # noqa: E731
    yield Case("grades of two turns", large(better), better, "1-10")
    yield Case("bits per byte, normal", 0.002, moved_bits(lambda shape: rng.normal(0.2, 1, shape)), "bits per byte")
    more = moved_bits(lambda shape: rng.exponential(1, shape) - 0.3)
    yield Case("bits per byte, skewed", 0.007, more, "bits per byte")
    few = moved_bits(lambda shape: rng.exponential(1, shape) * (rng.random(shape) < 0.2))
    yield Case("bits per byte, a fifth moved", 0.002, few, "bits per byte")


def both(draws: int, n: int, change: Callable[[tuple[int, int]], Array]) -> tuple[Sums, Array]:
    """Return scores of zero and how they change: only the change matters to a difference."""
    return (np.zeros((draws, n)), np.ones((draws, n))), change((draws, n))


def one_sided(shape: tuple[int, int]) -> Array:
    """Return changes of F1 that are all gains."""
    return rng.beta(1, 4, shape) * (rng.random(shape) < 0.1)


def two_sided(shape: tuple[int, int]) -> Array:
    """Return changes of F1 to either side."""
    return np.clip(rng.normal(0.01, 0.2, shape), -1, 1) * (rng.random(shape) < 0.3)


def now(case: Case, sides: tuple[Sums, ...]) -> Limits:
    """Return this project's intervals."""
    ids = [str(item) for item in range(sides[0][0].shape[1])]
    found = []
    for draw in range(len(sides[0][0])):
        metrics = [ratio(zip(ids, above[draw], below[draw], strict=True), case.unit) for above, below in sides]
        found.append(interval(metrics[0]) if len(metrics) == 1 else paired(*metrics))
    return np.array([one.low for one in found]), np.array([one.high for one in found])


def before(case: Case, sides: tuple[Sums, ...]) -> Limits:
    """Return Wilson's interval where it used to be taken, else the percentile bootstrap's."""
    n = sides[0][0].shape[1]
    counts = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(float)
    drawn = [(counts @ above.T) / (counts @ below.T) for above, below in sides]
    low, high = np.quantile(drawn[0] - drawn[1] if len(drawn) == 2 else drawn[0], [0.025, 0.975], axis=0)
    if len(sides) == 2 or case.unit != "share":
        return low, high
    (above, below), share = sides[0], sides[0][0].sum(1) / sides[0][1].sum(1)
    one_each = ((below == 1) & np.isin(above, (0, 1))).all(1) | np.isin(share, (0, 1))
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * np.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    score = np.where(share > 0, centre - half, 0), np.where(share < 1, centre + half, 1)
    return np.where(one_each, score[0], low), np.where(one_each, score[1], high)


def judged(n: int, lead: float, tied: float) -> list[tuple[float, int]]:
    """Return preferences, of which the longer answer has more, and differences in words."""
    words = np.rint(last_rng.normal(10, 60, n)).astype(int)
    won = last_rng.random(n) < 1 / (1 + np.exp(-lead - np.tanh(words / 60)))
    return list(zip(np.where(last_rng.random(n) < tied, 0.5, won).tolist(), words.tolist(), strict=True))


def graded(n: int) -> list[tuple[float, float]]:
    """Return grades and words that go along with them."""
    words = last_rng.normal(0, 1, n)
    return list(
        zip(np.clip(np.rint(6 + words + last_rng.normal(0, 1.5, n)), 1, 10).tolist(), words.tolist(), strict=True)
    )


def fitted() -> Iterator[tuple[str, Callable[[int], list], Callable[[list], float | None], str]]:
    """Yield the metrics that are no ratio of sums."""
    for lead, tied in ((0.5, 0.3), (3.5, 0.0)):
        draw = lambda n, lead=lead, tied=tied: judged(n, lead, tied)  # noqa: E731
        yield f"win rate at equal length, lead {lead}, tied {tied}", draw, at_equal_length, "share"
    yield "rank correlation of grades and words", graded, rank_correlation, "Spearman's rho"


def fitted_limits(
    draw: Callable[[int], list], statistic: Callable[[list], float | None], unit: str, n: int
) -> tuple[Limits, Limits]:
    """Return intervals of a fitted metric before and now."""
    old, new = [], []
    for _ in range(FITTED_DRAWS):
        rows = draw(n)
        metric: Metric = whole({str(item): row for item, row in enumerate(rows)}, statistic, n, unit)
        limits = interval(metric)
        new.append((limits.low, limits.high) if limits else (np.nan, np.nan))
        picks = last_rng.integers(0, n, (FITTED_RESAMPLES, n))
        resampled = [statistic([rows[item] for item in pick]) for pick in picks]
        old.append(np.quantile([value for value in resampled if value is not None], [0.025, 0.975]))
    return tuple(np.array(old).T), tuple(np.array(new).T)


def areas(draws: int, n: int, distance: float) -> Limits:
    """Return the intervals of the AUC of n scores against n others that are normal and so far apart."""
    found = [auc(last_rng.normal(distance, 1, n).tolist(), last_rng.normal(0, 1, n).tolist())[1:] for _ in range(draws)]
    return tuple(np.array(found).T)


def cell(limits: Limits, truth: float) -> str:
    """Return coverage in percent and mean width."""
    holds = (limits[0] <= truth + 1e-9) & (truth <= limits[1] + 1e-9)
    return f"{100 * holds.mean():5.1f} {np.mean(limits[1] - limits[0]):7.4f}"


def line(name: str, cells: list[tuple[str, str]]) -> None:
    """Print a case: coverage and width before and now, for each number of items."""
    print(f"{name:46}" + "  ".join(f"{old:>13} {new}" for old, new in cells), flush=True)


def main(draws: int) -> None:
    """Print the table."""
    print(f"{draws} draws; standard error of 95.0: {100 * sqrt(0.95 * 0.05 / draws):.1f}")
    print(" " * 46 + "  ".join(f"n = {n:<3}  before           now" for n in SIZES))
    print(" " * 46 + "  ".join(["cover   width cover   width"] * len(SIZES)))
    for title, cases in (("Values", values), ("Paired differences", differences)):
        print(title)
        for case in cases():
            drawn = [case.draw(draws, n) for n in SIZES]
            line(case.name, [tuple(cell(how(case, one), case.truth) for how in (before, now)) for one in drawn])
    print_fitted(draws)


def print_fitted(draws: int) -> None:
    """Print the metrics that are no ratio of sums."""
    print(f"Fitted metrics, {FITTED_DRAWS} draws; standard error of 95.0: {100 * sqrt(0.0475 / FITTED_DRAWS):.1f}")
    for name, draw, statistic, unit in fitted():
        truth = statistic(draw(200_000))
        cells = [fitted_limits(draw, statistic, unit, n) for n in SIZES]
        line(name, [(cell(old, truth), cell(new, truth)) for old, new in cells])
    print("AUC of the assessors' check (Newcombe's method 5, not changed)")
    for distance in (0.2, 1.2, 3.0):
        truth = NormalDist().cdf(distance / sqrt(2))
        line(f"AUC {truth:.3f}", [("", cell(areas(draws, n, distance), truth)) for n in SIZES])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
