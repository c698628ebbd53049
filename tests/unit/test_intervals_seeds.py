"""Intervals over seeds and items: known cases, and how often they hold the value when both are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from isheep.evaluation.base import Metric, ratio
from isheep.evaluation.intervals import interval, paired
from isheep.evaluation.intervals.seeds import pooled


def share(values: np.ndarray, unit: str = "share") -> Metric:
    return ratio(((str(i), float(value), 1.0) for i, value in enumerate(values)), unit)


def test_one_seed_is_its_items_alone():
    metric = share(np.array([1, 0, 1, 1, 0, 0, 1, 0, 0, 0]))
    alone, found = interval(metric), pooled([metric])
    assert (found.value, found.n, found.seeds) == (0.4, 10, 1)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))


def test_seeds_that_agree_tell_no_more_than_one():
    metric = share(np.array([1, 0, 1, 1, 0, 0, 1, 0, 0, 0]))
    one, three = pooled([metric]), pooled([metric] * 3)
    assert three.seeds == 3
    assert three.value == pytest.approx(one.value) and three.low <= one.low and three.high >= one.high


def test_seeds_that_differ_widen_it():
    near = [share(np.array([1.0, 2.0, 3.0, 4.0]) + shift, "words") for shift in (0.0, 0.1, -0.1)]
    far = [share(np.array([1.0, 2.0, 3.0, 4.0]) + shift, "words") for shift in (0.0, 10.0, -10.0)]
    narrow, wide = pooled(near), pooled(far)
    assert narrow.value == wide.value == pytest.approx(2.5)
    assert wide.high - wide.low > 10 > narrow.high - narrow.low


def test_a_difference_cancels_what_is_hard_for_both():
    base = share(np.array([0.0, 10.0, 20.0, 30.0, 40.0]), "words")
    found = pooled([share(np.array([1.0, 11.0, 21.0, 31.0, 41.0]) + shift, "words") for shift in (0, 1)], [base, base])
    assert found.value == pytest.approx(1.5)
    assert found.high - found.low < pooled([base, base]).high
    nothing = pooled([share(np.zeros(20))] * 3, [share(np.zeros(20))] * 3)
    tango = paired(share(np.zeros(20)), share(np.zeros(20)))
    assert (nothing.low, nothing.high) == pytest.approx((tango.low, tango.high))  # no change is not no doubt


def test_shares_stay_between_their_bounds():
    found = pooled([share(np.array([1, 1, 1, 1, 1, 0])), share(np.array([0, 0, 0, 1, 0, 0]))])
    assert 0 <= found.low < found.value == 0.5 < found.high <= 1


def test_items_that_a_seed_lacks_are_left_out():
    one = ratio([("a", 1, 1), ("b", 0, 1), ("c", 1, 1)])
    assert pooled([one, ratio([("b", 1, 1), ("c", 1, 1), ("d", 0, 1)])]).n == 2
    assert pooled([one, ratio([("d", 1, 1)])]) is None


@pytest.mark.parametrize("by_seed", [0.0, 0.5, 1.5])
def test_it_holds_the_value_where_seeds_and_items_are_drawn(by_seed):
    """3 seeds, 30 items, 400 draws: 95 % hold it, give or take 1.1 points; few seeds may make it too wide."""
    draw, held = np.random.default_rng(7), 0
    for _ in range(400):
        items, seeds = draw.normal(0, 1, 30), draw.normal(0, by_seed, 3)
        found = pooled([share(items + seed + draw.normal(0, 1, 30), "nats") for seed in seeds])
        held += found.low <= 0 <= found.high
    assert held / 400 > 0.93
