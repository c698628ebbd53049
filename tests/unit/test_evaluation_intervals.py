from __future__ import annotations

import json

import pytest

from isheep.evaluation.base import Metric, ratio, whole
from isheep.evaluation.intervals import bootstrap, interval, paired, table, wilson


def shares(*values):
    return {f"i{number:03}": (float(value), 1.0) for number, value in enumerate(values)}


def metric(terms):
    return ratio((id, *pair) for id, pair in terms.items())


def test_wilson_agrees_with_a_case_worked_by_hand():
    # 15 of 20, z = 1.959964: centre (0.75 + 0.096036) / 1.192073, half width 0.178909
    limits = wilson(15, 20)
    assert limits.low == pytest.approx(0.531299, abs=1e-5) and limits.high == pytest.approx(0.888138, abs=1e-5)


def test_wilson_has_width_where_every_item_is_wrong_or_right():
    # 0 of 10: high = z^2 / (n + z^2) = 3.841459 / 13.841459
    assert wilson(0, 10).low == 0 and wilson(0, 10).high == pytest.approx(0.277533, abs=1e-5)
    assert wilson(10, 10).high == 1 and wilson(10, 10).low == pytest.approx(1 - 0.277533, abs=1e-5)


def test_the_bootstrap_of_two_items_knows_its_three_outcomes():
    # Means of two draws from {0, 1}: 0, 0.5, 1 with probability 1/4, 1/2, 1/4.
    limits = bootstrap(shares(0, 1), level=0.4)
    assert (limits.low, limits.high) == (0.5, 0.5)
    limits = bootstrap(shares(0, 1), level=0.9)
    assert (limits.low, limits.high) == (0.0, 1.0)


def test_the_bootstrap_has_the_width_of_the_normal_interval():
    terms = {str(number): (float(number), 1.0) for number in range(100)}
    limits = bootstrap(terms, resamples=4000)
    half = 1.96 * (sum((number - 49.5) ** 2 for number in range(100)) / 100) ** 0.5 / 10
    assert limits.low == pytest.approx(49.5 - half, abs=0.5) and limits.high == pytest.approx(49.5 + half, abs=0.5)


def test_the_bootstrap_resamples_items_not_their_parts():
    # One item holds 9 of 10 instructions; drawing items, the pooled share is 0, 0.9 or 1.
    limits = bootstrap({"a": (0.0, 1.0), "b": (9.0, 9.0)}, level=0.98)
    assert (limits.low, limits.high) == (0.0, 1.0)


def test_the_same_seed_gives_the_same_interval_in_any_order_of_items():
    terms = {str(number): (number % 7, 3.0) for number in range(50)}
    assert bootstrap(terms) == bootstrap(dict(reversed(terms.items()))) != bootstrap(terms, seed=1)


def test_a_paired_difference_is_narrower_than_two_apart():
    one = shares(*[0, 1] * 50)
    other = {id: (min(1.0, above + (id == "i000")), 1.0) for id, (above, _) in one.items()}
    difference = paired(metric(other), metric(one))
    assert difference.value == pytest.approx(0.01) and difference.n == 100
    assert difference.low == 0 and difference.high < 0.05
    assert bootstrap(one).high - bootstrap(one).low > 0.15


def test_a_paired_difference_takes_only_items_that_both_have():
    difference = paired(
        metric({"a": (1, 1), "b": (1, 1), "x": (0, 1)}), metric({"a": (0, 1), "b": (0, 1), "y": (1, 1)})
    )
    assert (difference.value, difference.low, difference.high, difference.n) == (1, 1, 1, 2)
    assert paired(metric({"a": (1, 1)}), metric({"b": (1, 1)})) is None


def test_right_or_wrong_items_get_wilson_and_others_the_bootstrap():
    assert interval(ratio([("a", 1, 1), ("b", 0, 1)])) == wilson(1, 2)
    none_of_many = ratio([("a", 0, 3), ("b", 0, 2)])  # a bootstrap would say 0 to 0
    assert interval(none_of_many) == wilson(0, 2)
    graded = ratio([("a", 0.25, 1), ("b", 0.75, 1)])
    assert interval(graded) == bootstrap(graded.terms)
    assert interval(ratio([])) is None


def test_a_statistic_of_all_items_is_resampled_as_a_whole():
    def widest(items):
        return max(items) - min(items) if len(items) > 1 else None

    spread = whole({"a": 0.0, "b": 4.0}, widest, 2, "words")
    # Two draws of two items: the same one twice (0) or both (4), with probability 1/2 each.
    assert spread.value == 4 and (interval(spread).low, interval(spread).high) == (0, 4)
    other = whole({"a": 0.0, "b": 1.0, "c": 9.0}, widest, 3, "words")
    difference = paired(spread, other)
    assert (difference.value, difference.low, difference.high, difference.n) == (3, 0, 3, 2)
    assert interval(whole({"a": 1.0}, widest, 1, "words")) is None
    assert paired(whole({"a": 1.0}, widest, 1, "words"), spread) is None


def test_the_table_is_json_with_differences_to_earlier_models():
    now, before = ratio([("a", 1, 1), ("b", 1, 1)]), ratio([("a", 1, 1), ("b", 0, 1)])
    result = table({"x": now, "rho": Metric(0.3, 5, "rho")}, {"base": {"x": before}, "previous": {}})
    assert result["x"]["value"] == 1 and result["x"]["n"] == 2 and result["x"]["low"] == wilson(2, 2).low
    assert result["x"]["minus_base"]["value"] == 0.5 and result["x"]["minus_previous"] is None
    assert result["rho"]["low"] is None
    json.dumps(result, allow_nan=False)
