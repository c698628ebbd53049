"""The scale: ten candidates, "10" that begins with "1", and scores in generated texts."""

from __future__ import annotations

import math

import pytest

from isheep.assess.scale import belief, candidates, parse_score
from isheep.serving.engines.base import Score


def scored(probabilities: list[float], tokens: list[int]) -> Score:
    logs = tuple(math.log(share) if share else -math.inf for share in probabilities)
    return Score("x", logs, tuple(tokens))


def test_candidates_bring_their_space_unless_the_cue_ends_in_one():
    assert candidates("Score:") == tuple(f" {score}" for score in range(1, 11))
    assert candidates("Score: ") == candidates("Score:\n") == tuple(str(score) for score in range(1, 11))


def test_ten_is_taken_out_of_one_when_it_begins_with_the_token_of_one():
    # A text beginning with 1 has probability 0.5, of which 0.4 goes on to 10; 0.2 is a 9; the rest is no score.
    found = belief(scored([0.5, 0, 0, 0, 0, 0, 0, 0, 0.2, 0.4], [1] * 9 + [2]))
    assert found.mass == pytest.approx(0.7)
    assert found.probabilities == pytest.approx([0.1 / 0.7, 0, 0, 0, 0, 0, 0, 0, 0.2 / 0.7, 0.4 / 0.7])
    assert found.expected == pytest.approx((0.1 * 1 + 0.2 * 9 + 0.4 * 10) / 0.7)
    assert found.greedy == 10


def test_nothing_is_taken_out_when_ten_is_a_token_of_its_own():
    found = belief(scored([0.1, 0, 0, 0, 0, 0, 0, 0, 0.2, 0.4], [1] * 10))
    assert found.mass == pytest.approx(0.7)
    assert found.probabilities[0] == pytest.approx(0.1 / 0.7)
    assert found.expected == pytest.approx((0.1 * 1 + 0.2 * 9 + 0.4 * 10) / 0.7)


def test_expectation_equals_that_of_a_model_of_characters_followed_to_the_end_of_the_text():
    # An independent model of next characters: first digit, then 0, or the end of the text, or something else.
    first = {str(digit): 0.02 * digit for digit in range(1, 10)}
    after_one = {"0": 0.3, "": 0.7}
    exact = {score: first[str(score)] * (after_one[""] if score == 1 else 1.0) for score in range(1, 10)}
    exact[10] = first["1"] * after_one["0"]
    total = sum(exact.values())

    asked = [first[str(score)] for score in range(1, 10)] + [first["1"] * after_one["0"]]
    found = belief(scored(asked, [1] * 9 + [2]))
    assert found.mass == pytest.approx(total)
    assert found.expected == pytest.approx(sum(score * share for score, share in exact.items()) / total)


def test_certain_ten_leaves_nothing_for_one():
    found = belief(scored([0.9, 0, 0, 0, 0, 0, 0, 0, 0, 0.9], [1] * 9 + [2]))
    assert found.probabilities[0] == 0
    assert found.expected == 10


def test_greedy_takes_the_lower_of_equally_likely_scores():
    assert belief(scored([0, 0, 0.25, 0, 0, 0.25, 0, 0, 0.1, 0], [1] * 10)).greedy == 3


def test_very_unlikely_candidates_still_have_an_expectation():
    found = belief(Score("x", tuple(-2000.0 - (0 if score == 7 else 50) for score in range(1, 11)), (1,) * 10))
    assert found.expected == pytest.approx(7)
    assert found.mass == 0


@pytest.mark.parametrize("logs", [(), (-math.inf,) * 10, (math.nan,) + (-1.0,) * 9])
def test_no_belief_without_usable_likelihoods(logs):
    assert belief(Score("x", logs, (1,) * len(logs))) is None


READ = {
    "9": 9,
    "1": 1,
    "10": 10,
    " 9\n": 9,
    "9.": 9,
    "8.5": 8.5,
    "9.5": 9.5,
    "10.0": 10,
    "9||good": 9,
    "9 || good": 9,
    "8||…": 8,
    "8.5||": 8.5,
    "10||": 10,
    "9/10": 9,
    "10/10": 10,
    "9 / 10": 9,
    "9 out of 10": 9,
    "9/10 because it is right": 9,
    "Score: 9": 9,
    "score:9": 9,
    "**Score:** 9": 9,
    "**9**": 9,
    "Rating: 8 - clear": 8,
    "Score: 8 out of ten": 8,
    "Score = 7. It is right.": 7,
    "9||It names 3 of the 4 rivers.": 9,
    "9\nIt names 3 of the 4 rivers.": 9,
    "9\n\n9/10": 9,
}
UNREAD = [
    "",
    "||",
    "Score:",
    "N/A",
    "nine",
    "٨",
    "９",
    "IX",
    "9²",
    "-3",
    "-3||",
    "-1",
    "+9",
    "Score: -3",
    "0",
    "0.5",
    "11",
    "100",
    "10.5",
    "Score: 11",
    "9" * 400,
    "09",
    "1e1",
    "9,5",
    "9%",
    "9:30",
    "$9",
    "1 to 10",
    "7-9",
    "7 - 9",
    "7–9",
    "7, 8",
    "8 9",
    "8 or 9",
    "Score: 8 or 9",
    "Score: 1 to ten",
    "8/9",
    "9/5",
    "9/100",
    "9/10.5",
    "9/10/2024",
    "10 out of 100",
    "8\n9",
    "8||9",
    "8||…\n4/10",
    "Score: 8\nScore: 4",
    "9||But the last part is worth 3/10.",
    "1. It is right.",
    "1. It is right.\n2. It is short.",
    "5 stars",
    "3 apples",
    "9 because it is right",
    "I give it a 9",
    '{"score": 8}',
    'Here it is: {"score": 8}',
]


@pytest.mark.parametrize(("text", "score"), READ.items())
def test_parser_reads_a_score_that_stands_by_itself(text, score):
    assert parse_score(text) == score


@pytest.mark.parametrize("text", UNREAD, ids=lambda text: text[:24] or "empty")
def test_parser_rejects_what_is_not_one_score(text):
    assert parse_score(text) is None
