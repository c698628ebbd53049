"""Discrimination: mismatched pairs and the area under the curve."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from sklearn.metrics import roc_auc_score

from isheep.assess.discrimination import Z, auc, discrimination, sample_pairs, warnings


def rows(outputs: list[str]) -> list[dict[str, str]]:
    return [
        {"id": f"r{number}", "instruction": f"task {number}", "input": "", "output": output}
        for number, output in enumerate(outputs)
    ]


def test_every_row_gets_the_output_of_another_row_once():
    made = rows([f"answer {number}" for number in range(20)])
    pairs = sample_pairs(made, 20, seed=0)
    assert {row["id"] for row, _ in pairs} == {row["id"] for row in made}
    assert all(row["output"] != shuffled["output"] for row, shuffled in pairs)
    assert sorted(shuffled["output"] for _, shuffled in pairs) == sorted(row["output"] for row in made)
    row, shuffled = pairs[0]
    assert shuffled == {**row, "id": f"{row['id']}/shuffled", "output": shuffled["output"]}


@pytest.mark.parametrize("outputs", [["yes"] * 5 + ["no"] * 5, ["yes", "Yes ", "no", "maybe"], list("aabbccddd")])
def test_equal_outputs_are_never_swapped_for_each_other(outputs):
    pairs = sample_pairs(rows(outputs), 100, seed=1)
    assert len(pairs) == len(outputs)
    assert all(row["output"].strip().casefold() != other["output"].strip().casefold() for row, other in pairs)


def test_rows_without_a_possible_partner_are_left_out():
    assert len(sample_pairs(rows(["yes"] * 7 + ["no"] * 2), 100, seed=0)) == 4
    assert sample_pairs(rows(["yes"] * 3), 100, seed=0) == []
    assert sample_pairs(rows(["alone"]), 100, seed=0) == []
    assert sample_pairs([], 100, seed=0) == []


def test_sample_depends_on_seed_and_rows_but_not_on_their_order():
    made = rows([f"answer {number}" for number in range(50)])
    drawn = sample_pairs(made, 10, seed=3)
    assert len(drawn) == 10
    assert sample_pairs(made[::-1], 10, seed=3) == drawn
    assert sample_pairs(made, 10, seed=4) != drawn
    assert sample_pairs(made, 0, seed=3) == []


@pytest.mark.parametrize(
    ("matched", "shuffled", "area"),
    [
        ([3, 4], [1, 2], 1.0),
        ([1, 2], [3, 4], 0.0),
        ([1, 3], [2, 4], 0.25),  # of the four comparisons only 3 > 2 holds
        ([5, 5], [5, 5], 0.5),
        ([1, 2, 2], [2, 1], 7 / 12),  # 0 + 1/2, 1/2 + 1, 1/2 + 1 of six
    ],
)
def test_area_by_hand(matched, shuffled, area):
    assert auc(matched, shuffled)[0] == pytest.approx(area)


def test_area_equals_that_of_sklearn():
    draw = random.Random(5)
    for _ in range(50):
        matched = [draw.randint(1, 10) for _ in range(draw.randint(1, 40))]
        shuffled = [draw.randint(1, 10) for _ in range(draw.randint(1, 40))]
        labels = [1] * len(matched) + [0] * len(shuffled)
        assert auc(matched, shuffled)[0] == pytest.approx(roc_auc_score(labels, matched + shuffled))


def test_limits_lie_z_standard_errors_from_the_area():
    # Hanley and McNeil's standard error for 20 against 20, written out here once more by its two terms.
    def error(area: float) -> float:
        above, below = area / (2 - area), 2 * area**2 / (1 + area)
        return math.sqrt((area * (1 - area) + 19 * (above - area**2) + 19 * (below - area**2)) / 400)

    matched, shuffled = [float(x) for x in range(8, 28)], [float(x) for x in range(20)]
    area, low, high = auc(matched, shuffled)
    assert 0 < low < area < high < 1
    assert (area - low) / error(low) == pytest.approx(Z)
    assert (high - area) / error(high) == pytest.approx(Z)


def test_interval_keeps_a_width_at_the_ends_and_turns_with_the_sides():
    area, low, high = auc([3.0] * 10, [1.0] * 10)
    assert (area, high) == (1.0, 1.0)
    assert 0.5 < low < 0.9
    assert auc([1.0] * 10, [3.0] * 10) == pytest.approx((0.0, 0.0, 1 - low))
    assert auc([2.0], [1.0])[1] < 0.5


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0])
def test_interval_covers_the_true_area_about_19_times_in_20(distance):
    truth = statistics.NormalDist().cdf(distance / math.sqrt(2))
    draw, covered = random.Random(11), 0
    for _ in range(300):
        matched = [draw.gauss(distance, 1) for _ in range(25)]
        shuffled = [draw.gauss(0, 1) for _ in range(25)]
        _, low, high = auc(matched, shuffled)
        covered += low <= truth <= high
    assert 0.92 <= covered / 300 <= 0.995


def test_no_area_without_both_kinds():
    with pytest.raises(ValueError, match="both kinds"):
        auc([], [1.0])


class Scripted:
    """An assessor whose score stands in the row's result."""

    name = "quality"
    columns = ("quality",)
    judges = True

    def columns_of(self, row, result):
        return {"quality": result(row["id"])}


def measured(matched: list[float | None], shuffled: list[float | None], warn_below: float = 0.6):
    made = rows([str(number) for number in range(len(matched))])
    pairs = [(row, {**row, "id": f"{row['id']}/shuffled"}) for row in made]
    scores = {row["id"]: score for row, score in zip(made, matched, strict=True)}
    scores |= {f"{row['id']}/shuffled": score for row, score in zip(made, shuffled, strict=True)}
    return discrimination(pairs, [Scripted()], scores.__getitem__, warn_below)


def test_verdicts_and_warnings():
    high, low = [7.0 + x / 100 for x in range(60)], [3.0 + x / 100 for x in range(60)]
    assert measured(high, low)["quality"]["verdict"] == "separates"
    assert warnings(measured(high, low)) == []
    assert measured(low, high)["quality"]["verdict"] == "inverted"
    assert measured(low, low)["quality"] == {"n": 60, "auc": 0.5, "low": 0.3989, "high": 0.6011, "verdict": "chance"}
    (line,) = warnings(measured(low, low))
    assert "assessor quality cannot tell" in line
    assert "AUC 0.5, 95 % interval 0.3989 to 0.6011, 60 pairs" in line
    assert measured(high, low, warn_below=1.0)["quality"]["verdict"] == "separates"
    half = low[:30] + high[:30]
    assert measured(half, low, warn_below=0.9)["quality"]["verdict"] == "weak"


def test_pairs_with_an_unscored_side_are_left_out():
    found = measured([7.0, None, 8.0, 9.0], [1.0, 2.0, None, 3.0])["quality"]
    assert found["n"] == 2
    assert found["auc"] == 1.0
    nothing = measured([None, 1.0], [1.0, None])
    assert nothing["quality"] == {"n": 0, "auc": None, "low": None, "high": None, "verdict": "unmeasured"}
    assert "could not be checked" in warnings(nothing)[0]
    assert measured([], []) == {}
