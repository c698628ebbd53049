from __future__ import annotations

import json
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar

from isheep.evaluation.base import Metric, ratio, whole
from isheep.evaluation.intervals import Interval, interval, paired, table
from isheep.evaluation.intervals.changes import graded_tango, tango
from isheep.evaluation.intervals.means import _unskewed, skewed
from isheep.evaluation.intervals.range import normal_quantile, t_quantile
from isheep.evaluation.intervals.shares import agresti_coull, effective_items
from isheep.evaluation.kinds.pairwise import at_equal_length

Z = NormalDist().inv_cdf(0.975)


def metric(above, below=None, unit="share"):
    below = [1] * len(above) if below is None else below
    return ratio(
        ((f"i{number:03}", *pair) for number, pair in enumerate(zip(above, below, strict=True))),
        unit,
    )


def width(limits):
    return limits.high - limits.low


def close(limits, low, high, abs=5e-5):
    return limits.low == pytest.approx(low, abs=abs) and limits.high == pytest.approx(high, abs=abs)


def test_quantiles_are_those_of_the_tables():
    assert normal_quantile(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert t_quantile(0.95, 23) == pytest.approx(2.068658, abs=1e-6)
    assert t_quantile(0.9, 10.5) == pytest.approx(stats.t.ppf(0.95, 10.5), abs=1e-9)


# --- one model, right or wrong


def test_agresti_and_coull_agree_with_a_case_worked_by_hand():
    # 0 of 10: size 13.841459, centre 1.920729 / 13.841459 = 0.138767, half 1.959964 sqrt(0.119511 / 13.841459)
    assert close(agresti_coull(0.0, 10, Z), 0.0, 0.320888, 1e-5)
    # 15 of 20: centre 16.920729 / 23.841459 = 0.709719, half 1.959964 sqrt(0.206018 / 23.841459)
    assert close(agresti_coull(0.75, 20, Z), 0.527525, 0.891913, 1e-5)


def test_agresti_and_coull_stand_around_wilsons_centre_and_are_no_narrower():
    for right in range(25):
        ours, wilson = agresti_coull(right / 24, 24, Z), stats.binomtest(right, 24).proportion_ci(method="wilson")
        assert ours.low <= wilson.low + 1e-9 and ours.high >= wilson.high - 1e-9
        if ours.low > 0 and ours.high < 1:
            assert (ours.low + ours.high) / 2 == pytest.approx((wilson.low + wilson.high) / 2)


def test_right_or_wrong_items_are_counted_as_they_are():
    assert interval(metric([1, 0, 1, 1])) == agresti_coull(0.75, 4, Z)
    assert interval(metric([1] * 30)) == agresti_coull(1.0, 30, Z)
    assert interval(metric([])) is None


# --- one model, graded or clustered


def test_effective_items_are_the_items_themselves_where_all_are_right_or_wrong():
    assert effective_items(0.25, 20 * 0.25 * 0.75, 20) == pytest.approx(20)
    assert effective_items(0.0, 0.0, 20) == effective_items(1.0, 0.0, 20) == 20
    # A quarter of the binomial variance: four times as many, but for what PSEUDO holds back.
    assert effective_items(0.5, 200 * 0.25 / 4, 200) == pytest.approx(800, rel=0.02)
    assert effective_items(0.5, 0.0, 20) == 100  # nothing but ties: n squared / 4


def test_graded_items_have_the_width_of_students_t():
    grades = np.tile([0.2, 0.4, 0.5, 0.6, 0.8], 20)
    half = stats.t.ppf(0.975, 99) * grades.std(ddof=1) / 10
    limits = interval(metric(grades))
    assert (limits.low + limits.high) / 2 == pytest.approx(0.5)
    assert width(limits) / 2 == pytest.approx(half, rel=0.02)


def test_clusters_count_as_wholes():
    rng = np.random.default_rng(0)
    apart = metric(rng.integers(0, 2, 120))
    together = metric(apart_sums := rng.integers(0, 2, 40) * 3.0, [3] * 40)  # three that always agree are one
    assert width(interval(together)) == pytest.approx(width(interval(metric(apart_sums / 3))), rel=0.12)
    assert width(interval(together)) > 1.5 * width(interval(apart))


def test_a_share_of_zero_or_one_has_a_width_however_it_came_about():
    for limits in (interval(metric([0, 0, 0], [3, 2, 1])), interval(metric([0.0] * 3))):
        assert limits.low == 0 and 0.3 < limits.high < 1
    tens = interval(metric([20] * 30, [2] * 30, "1-10"))
    assert tens.high == 10 and 8 < tens.low < 9.5
    one = interval(metric([1], [2]))
    assert one.low < 0.01 and one.high > 0.99


def test_thirty_wins_of_thirty_at_equal_length_leave_some_doubt():
    for lengths in ([0] * 30, range(-15, 15)):
        judged = {str(number): (1.0, words) for number, words in enumerate(lengths)}
        limits = interval(whole(judged, at_equal_length, 30, "share"))
        assert at_equal_length(list(judged.values())) == 1 and limits.high == 1
        assert 0.8 < limits.low < 0.92


def test_a_fitted_share_of_no_lengths_is_the_plain_one():
    rng = np.random.default_rng(0)
    wins = rng.choice([0, 0.5, 1], 60, p=[0.3, 0.3, 0.4])
    fitted = whole({f"i{item:03}": (win, 0) for item, win in enumerate(wins)}, at_equal_length, 60, "share")
    assert close(interval(fitted), *vars(interval(metric(wins))).values(), abs=0.01)


# --- one model, without bounds


def test_what_is_never_negative_has_no_limit_below_nothing():
    limits = interval(metric([0.1, 0.1, 0.1, 40.0], unit="words"))
    assert limits.low == 0 and limits.high > 10
    assert interval(metric([0.1, 0.1, 0.1, 40.0], unit="nats")).low < 0


def test_symmetric_items_get_students_interval():
    words = np.arange(100.0)
    low, high = stats.t.interval(0.95, 99, words.mean(), words.std(ddof=1) / 10)
    assert close(interval(metric(words, unit="words")), low, high, 0.3)


def test_halls_cubic_is_inverted():
    for skewness, n in ((0.7, 24), (-1.5, 71), (4.0, 200), (1e-9, 24)):
        for quantile in (-2.0, 0.3, 2.0):
            t, a, b = _unskewed(quantile, skewness, n), 1 / 3, 1 / 6
            shift = skewness / n**0.5 * (a * t**2 + b)
            assert t + shift + (a * skewness) ** 2 * t**3 / (3 * n) == pytest.approx(quantile, abs=1e-6)


def test_skewed_items_reach_farther_on_their_long_side():
    times = np.random.default_rng(0).exponential(1, 40)
    limits, half = interval(metric(times, unit="words")), stats.t.ppf(0.975, 39) * times.std(ddof=1) / 40**0.5
    assert limits.high - times.mean() > 1.1 * half
    assert times.mean() - limits.low == pytest.approx(half, rel=0.03)
    assert skewed(2.0, np.zeros(5), 2.0) == Interval(2.0, 2.0)


def test_a_ratio_of_sums_has_the_spread_of_its_jackknife():
    rng = np.random.default_rng(0)
    below = rng.integers(20, 400, 60).astype(float)
    above = below * rng.normal(1, 0.2, 60)
    terms = {str(item): (a, b) for item, (a, b) in enumerate(zip(above, below, strict=True))}
    left_out = whole(terms, lambda rows: sum(a for a, _ in rows) / sum(b for _, b in rows), 60, "bits per byte")
    direct = interval(Metric(above.sum() / below.sum(), 60, "bits per byte", "lower", terms))
    again = interval(left_out)
    assert close(again, direct.low, direct.high, 0.1 * width(direct))
    assert width(direct) > width(again)  # fewer degrees of freedom: the items do not weigh the same
    assert interval(metric([7], unit="words")) is None


# --- two models


def score_at(better, worse, n, difference):
    """Tango's statistic, its constrained estimate by a search for the greatest likelihood."""

    def against(only_other):
        odds = np.array([only_other + difference, only_other, 1 - 2 * only_other - difference])
        return -(np.array([better, worse, n - better - worse]) * np.log(np.maximum(odds, 1e-300))).sum()

    ends = max(0, -difference), (1 - difference) / 2
    only_other = minimize_scalar(against, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
    return (better - worse - n * difference) / (n * (2 * only_other + difference - difference**2)) ** 0.5


def test_tango_agrees_with_published_intervals():
    # Fagerland, Lydersen and Laake (2017), chapter 8: Cavo et al. 2012, and Bentur et al. 2009.
    assert close(tango(6, 16, 161, Z), -0.1240, -0.0054)
    assert close(tango(1, 7, 21, Z), -0.517, -0.026, 5e-4)


@pytest.mark.parametrize("better, worse, n", [(2, 0, 71), (1, 7, 21), (16, 4, 80), (9, 9, 24)])
def test_tango_lies_where_the_score_of_the_constrained_fit_is_the_quantile(better, worse, n):
    limits = tango(better, worse, n, Z)
    assert score_at(better, worse, n, limits.low) == pytest.approx(Z, abs=1e-3)
    assert score_at(better, worse, n, limits.high) == pytest.approx(-Z, abs=1e-3)


def test_a_difference_without_a_changed_item_has_a_width():
    same = metric([1, 0, 1] * 23 + [1, 1])
    found = paired(same, same)
    # Z squared / (n + Z squared) = 3.841459 / 74.841459
    assert (found.value, found.n) == (0, 71) and close(found, -0.051328, 0.051328, 1e-6)
    assert tango(5, 0, 5, Z).high == pytest.approx(1) and tango(0, 5, 5, Z).low == pytest.approx(-1)


def test_right_or_wrong_items_get_tangos_interval():
    one, other = metric([1, 1, 1, 0, 0, 1]), metric([0, 0, 1, 0, 1, 1])
    assert close(paired(one, other), *vars(tango(2, 1, 6, Z)).values(), abs=1e-9)


def test_graded_changes_of_one_size_get_tangos_interval_in_that_size():
    changes = np.array([0.25] * 40 + [-0.25] * 20 + [0.0] * 140)
    value = changes.mean()
    limits = graded_tango(value, changes, float(np.square(changes - value).sum()), Z)
    theirs = tango(40, 20, 200, Z)
    assert close(limits, theirs.low / 4, theirs.high / 4, 0.001)


def test_graded_changes_of_many_sizes_get_nearly_students_interval():
    rng = np.random.default_rng(0)
    one, other = rng.random(100), rng.random(100)
    half = stats.t.ppf(0.975, 99) * (one - other).std(ddof=1) / 10
    found = paired(metric(one), metric(other))
    assert close(found, found.value - half, found.value + half, 0.003)


def test_a_few_small_changes_do_not_prove_that_none_is_large():
    still = metric([0.5] * 71)
    moved = metric([0.6, 0.55, *[0.5] * 69])
    assert 0.01 < width(paired(moved, still)) < width(paired(still, still)) == pytest.approx(0.106, abs=0.01)


def test_a_paired_difference_is_narrower_than_two_apart():
    one = metric([0, 1] * 50)
    other = metric([min(1, right + (item == 0)) for item, right in enumerate([0, 1] * 50)])
    found = paired(other, one)
    assert found.value == pytest.approx(0.01) and found.n == 100 and found.low < 0 < found.high
    assert width(found) < 0.09 < 0.19 < width(interval(one))


def test_a_paired_difference_takes_only_items_that_both_have():
    one = ratio([("a", 1, 1), ("b", 1, 1), ("x", 0, 1)])
    other = ratio([("a", 0, 1), ("b", 0, 1), ("y", 1, 1)])
    found = paired(one, other)
    assert (found.value, found.n) == (1, 2) and close(found, *vars(tango(2, 0, 2, Z)).values(), abs=1e-9)
    assert paired(ratio([("a", 1, 1)]), ratio([("b", 1, 1)])) is None
    assert paired(metric([3], unit="words"), metric([4], unit="words")) is None


def test_grades_differ_in_their_own_unit():
    rng = np.random.default_rng(0)
    one, other = rng.integers(1, 11, 80), rng.integers(1, 11, 80)
    found, half = (
        paired(metric(one, unit="1-10"), metric(other, unit="1-10")),
        1.9905 * (one - other).std(ddof=1) / 80**0.5,
    )
    assert found.value == pytest.approx((one - other).mean()) and close(
        found, found.value - half, found.value + half, 0.05
    )


def test_differences_without_bounds_are_paired_too():
    rng = np.random.default_rng(0)
    before = rng.normal(100, 30, 50)
    change = rng.normal(2, 1, 50)
    found = paired(metric(before + change, unit="words"), metric(before, unit="words"))
    low, high = stats.t.interval(0.95, 49, change.mean(), change.std(ddof=1) / 50**0.5)
    assert close(found, low, high, 0.03)


def test_a_statistic_of_all_items_is_left_one_out():
    def widest(rows):
        return max(rows) - min(rows) if len(rows) > 1 else None

    spread = whole({"a": 0.0, "b": 1.0, "c": 4.0}, widest, 3, "nats")
    # Without a 3, b 4, c 1: pseudo-values deviate by 2 (8/3 - 3), 2 (8/3 - 4), 2 (8/3 - 1).
    error = (sum(x * x for x in (-2 / 3, -8 / 3, 10 / 3)) / 3 / 2) ** 0.5
    assert interval(spread).low == pytest.approx(4 - t_quantile(0.95, 2) * error, rel=0.2)
    same = paired(spread, spread)
    assert (same.value, same.low, same.high, same.n) == (0, 0, 0, 3)
    assert interval(whole({"a": 1.0, "b": 2.0}, widest, 2, "nats")) is None
    assert paired(whole({"a": 1.0}, widest, 1, "nats"), spread) is None


# --- all


def test_the_order_of_items_does_not_matter():
    terms = [(f"i{number}", number % 7, 3.0) for number in range(50)]
    for unit in ("share", "nats"):
        one, other = (
            ratio([(id, above / 7, below) for id, above, below in order], unit) for order in (terms, terms[::-1])
        )
        assert interval(one) == interval(other)


def test_the_table_is_json_with_differences_to_earlier_models():
    now, before = ratio([("a", 1, 1), ("b", 1, 1)]), ratio([("a", 1, 1), ("b", 0, 1)])
    result = table({"x": now, "rho": Metric(0.3, 5, "rho")}, {"base": {"x": before}, "previous": {}})
    assert result["x"]["value"] == 1 and result["x"]["n"] == 2 and result["x"]["low"] == interval(now).low
    assert result["x"]["minus_base"] == {"value": 0.5, **vars(tango(1, 0, 2, Z)), "n": 2}
    assert result["x"]["minus_previous"] is None and result["rho"]["low"] is None
    json.dumps(result, allow_nan=False)


DRAWS = 400


def one_sided(rng, n):
    return metric(rng.random(n) < 0.03), metric(np.zeros(n))


def unchanged_but_few(rng, n):
    right, kind = rng.random(n) < 0.5, rng.random(n)
    return metric(np.where(kind < 0.04, 1, np.where(kind < 0.06, 0, right))), metric(right)


def instructions(rng, n):
    count = rng.choice([1, 2, 3], n)
    return (metric(rng.binomial(count, rng.beta(0.3, 2.7, n)), count),)


def tries(rng, n):
    return (metric(rng.binomial(5, rng.beta(2.94, 0.06, n)) / 5),)


def skewed_bits(rng, n):
    size = rng.gamma(2.4, 76, n) + 4
    change = 0.01 * size * (rng.exponential(1, n) - 0.3)
    return metric(size + change, size, "bits per byte"), metric(size, size, "bits per byte")


@pytest.mark.parametrize("n", [24, 71])
@pytest.mark.parametrize(
    "draw, truth",
    [(one_sided, 0.03), (unchanged_but_few, 0.01), (instructions, 0.1), (tries, 0.98), (skewed_bits, 0.007)],
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(draw, truth, n):
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(DRAWS):
        sides = draw(rng, n)
        limits = interval(*sides) if len(sides) == 1 else paired(*sides)
        held += limits.low <= truth <= limits.high
    # benchmarks/interval_coverage.py measures closely; 0.92 is three standard errors under 0.95.
    assert held / DRAWS >= 0.92
