"""Lengths, diversity and the sample, against cases worked out by hand."""

from __future__ import annotations

import math

import pytest

from isheep.health.diversity import compression_ratio, distinct, diversity, ngrams, self_bleu, vendi
from isheep.health.lengths import lengths, quantiles
from isheep.health.sample import draw


def row(number: int, instruction: str = "Do it.", output: str = "Done.", reason: str = "stop", **more) -> dict:
    tokens = {"prompt_tokens": 10 + number, "output_tokens": number}
    return {"id": f"r{number}", "instruction": instruction, "output": output, "finish_reason": reason, **tokens, **more}


def test_quantiles_are_values_of_the_data_by_nearest_rank():
    assert quantiles([40, 10, 30, 20], "words") == {
        **{"p5": 10, "p25": 10, "p50": 20, "p75": 30, "p95": 40},
        **{"n": 4, "unit": "words"},
    }
    assert quantiles([7], "words")["p5"] == quantiles([7], "words")["p95"] == 7
    assert quantiles([], "words")["p50"] is None
    assert [quantiles(range(1, 101), "words")[f"p{p}"] for p in (5, 25, 50, 75, 95)] == [5, 25, 50, 75, 95]


def test_lengths_count_words_tokens_blank_and_cut_texts():
    rows = [row(1, output="a b c"), row(2, output="  "), row(3, output="x", reason="length"), row(4, output="x y")]
    found = lengths(iter(rows))
    assert found["output"]["words"] == {"p5": 0, "p25": 0, "p50": 1, "p75": 2, "p95": 3, "n": 4, "unit": "words"}
    assert found["output"]["share_empty"]["value"] == 0.25
    assert found["output"]["share_at_limit"]["value"] == 0.25
    assert found["instruction"]["tokens"]["p95"] == 14 and found["output"]["tokens"]["p95"] == 4
    assert found["instruction"]["words"]["p50"] == 2 and "share_at_limit" not in found["instruction"]


def test_lengths_of_nothing_are_unknown():
    found = lengths([])
    assert found["output"]["words"]["p50"] is None and found["output"]["share_at_limit"]["value"] is None


def test_a_smaller_sample_begins_a_larger_one_and_rows_that_go_change_only_themselves():
    rows = [row(number) for number in range(200)]
    large, small = draw(rows, 50), draw(iter(rows), 20)
    assert large[:20] == small and len({one["id"] for one in large}) == 50
    assert draw(reversed(rows), 50) == large
    assert small != rows[:20]
    gone = {one["id"] for one in large[:5]}
    assert draw([one for one in rows if one["id"] not in gone], 45) == large[5:]
    assert len(draw(rows[:3], 50)) == 3


def test_distinct_n_counts_within_texts_only():
    assert ngrams(["a", "b", "c"], 2) == [("a", "b"), ("b", "c")]
    assert distinct(["a b a", "A, b!"], 1) == 2 / 5
    # a b, b a | a b
    assert distinct(["a b a", "A, b!"], 2) == 2 / 3
    assert distinct(["a b a", "A, b!"], 3) == 1.0
    assert distinct(["a", "b"], 2) is None


def test_compression_ratio_rises_with_repetition():
    varied = ["The river Po rises in the Alps.", "Count the pages of a quarto book.", "Why is glass hard to date?"]
    assert compression_ratio(varied) < 1.3
    assert compression_ratio(varied[:1] * 100) > 40
    assert compression_ratio(["", " "]) is None


def test_self_bleu_is_a_hundred_for_equal_texts_and_near_nothing_for_strangers():
    assert self_bleu(["the cat sat on the mat today"] * 3) == pytest.approx(100)
    strangers = ["one two three four five six", "alpha beta gamma delta epsilon zeta", "un deux trois quatre cinq"]
    assert self_bleu(strangers) < 10
    assert self_bleu(["only one text", "  "]) is None


def test_self_bleu_of_two_texts_is_the_bleu_of_each_against_the_other():
    # Both have 5 tokens and share 4, 3, 2, 1 of 5, 4, 3, 2 n-grams: BLEU = (4/5 * 3/4 * 2/3 * 1/2) ** (1/4).
    assert self_bleu(["a b c d e", "a b c d x"]) == pytest.approx(100 * 0.2**0.25)


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        ([[1, 0, 0], [0, 2, 0], [0, 0, 3]], 3.0),
        ([[1, 2], [2, 4], [0.5, 1]], 1.0),
        ([[1, 0], [1, 0], [0, 1], [0, 1]], 2.0),
        # Cosine 1/2: eigenvalues 3/4 and 1/4.
        ([[1, 0], [0.5, math.sqrt(0.75)]], math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))),
        ([[5.0, 1.0]], 1.0),
    ],
)
def test_vendi_counts_the_different_ones(vectors, expected):
    assert vendi(vectors) == pytest.approx(expected, rel=1e-9)


def test_vendi_of_nothing_is_unknown_and_a_blank_text_is_like_no_other():
    assert vendi([]) is None
    assert vendi([[0, 0], [1, 0]]) == pytest.approx(2.0)


def test_diversity_looks_at_instructions_and_outputs_apart():
    rows = [row(number, "Say the same thing again please.", f"answer {number} of many") for number in range(6)]
    found = diversity(rows, self_bleu_rows=4)
    assert found["instruction"]["distinct_1"]["value"] == pytest.approx(6 / 36, rel=1e-5)
    assert found["output"]["distinct_1"]["value"] == pytest.approx(9 / 24, rel=1e-5)
    assert found["instruction"]["self_bleu"] == {"value": 100.0, "n": 4, "unit": "BLEU", "better": "lower"}
    assert found["output"]["distinct_2"]["n"] == 6
