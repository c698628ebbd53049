"""Stage pair_answers: which answers are compared, which is chosen, and what becomes no pair."""

from __future__ import annotations

import pytest
from pairing import answers, made

from isheep.errors import UserError
from isheep.outputs.answers import sampled
from isheep.pairs.kinds.own_scores import OwnScores


def test_samples_keep_the_first_answer_s_id_and_one_sample_changes_nothing():
    rows = [{"id": "a", "instruction": "x"}, {"id": "b", "instruction": "y"}]
    assert list(sampled(rows, 1)) == rows
    three = list(sampled(rows, 3))
    assert [row["id"] for row in three] == ["a", "a/s1", "a/s2", "b", "b/s1", "b/s2"]
    assert [(row["prompt_id"], row["sample"]) for row in three[3:]] == [("b", 0), ("b", 1), ("b", 2)]
    assert {row["id"] for row in sampled(rows, 2)} < {row["id"] for row in three}


OWN = OwnScores(floor=1)


@pytest.mark.parametrize(
    ("scored", "chosen", "rejected"),
    [
        ([("good", 9.0), ("bad", 2.0)], "good", "bad"),
        ([("bad", 2.0), ("fair", 5.5), ("good", 9.0)], "good", "bad"),
        ([("one", 7.0), ("two", 7.0), ("low", 3.0), ("low too", 3.0)], "one", "low"),
    ],
)
def test_own_scores_put_the_best_against_the_worst_and_the_earlier_of_equal_ones(scored, chosen, rejected):
    (row,), none, funnel = made(OWN, answers("p", *scored))
    assert (row["chosen"], row["rejected"]) == (chosen, rejected)
    assert row["output"] == chosen and row["id"] == "p" and row["instruction"] == "Do p."
    place = [text for text, _ in scored].index(chosen)
    assert row["chosen_id"] == (f"p/s{place}" if place else "p")
    assert row["margin"] == max(score for _, score in scored) - min(score for _, score in scored)
    assert none == [] and funnel.record(1, 0)["rows_out"] == 1


@pytest.mark.parametrize(
    ("scored", "settings", "rule"),
    [
        ([("a", 5.0)], {}, "lone_answer"),
        ([("a", 5.0), ("b", 5.0)], {}, "tie"),
        ([("a b", 5.0), ("a  b\n", 4.0)], {}, "identical"),
        ([("a", 5.0), ("b", 4.75)], {"margin": 0.5}, "small_margin"),
    ],
)
def test_what_becomes_no_pair_is_kept_with_its_reason(scored, settings, rule):
    source = OwnScores(floor=1, **settings)
    good = answers("q", ("yes", 9.0), ("no", 1.0))
    rows = [{**row, "prompt_id": "p"} for row in answers("p", *scored)]
    pairs, (gone,), funnel = made(source, [*rows, *good])
    assert [row["id"] for row in pairs] == ["q"]
    assert (gone["id"], gone["rule"], gone["answers"]) == ("p", rule, [text for text, _ in scored])
    assert funnel.record(1, 1)["rejected"] == {rule: 1}


def test_too_few_pairs_stop_the_run_with_the_funnel():
    with pytest.raises(UserError, match=r"1 pairs, fewer than pairs.floor \(2\).*pair_answers kept 1 of 2 rows: 1 tie"):
        made(OwnScores(floor=2), [*answers("p", ("a", 2.0), ("b", 2.0)), *answers("q", ("a", 2.0), ("b", 3.0))])
