"""Near-duplicates: rouge_score is the oracle, integers decide the ties."""

import random

import pytest
from rouge_score import rouge_scorer

from isheep.data.dedup import NearDuplicates, tokenise

WORDS = "write list explain the a of city river poem about three facts python short".split()


def texts(count: int, longest: int) -> list[str]:
    draw = random.Random(count)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, longest))) for _ in range(count)]


@pytest.mark.parametrize(("count", "longest"), [(400, 6), (300, 20)])
def test_decisions_are_those_of_rouge_score(count, longest):
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    pool, kept, compared = NearDuplicates(0.7), [], 0
    for text in texts(count, longest):
        # Rounding takes the float noise out of exact ties, which the integer rule keeps.
        expected = any(round(scorer.score(old, text)["rougeL"].fmeasure, 9) > 0.7 for old in kept)
        assert (pool.find(text) is not None) == expected, text
        compared += expected
        if not expected:
            pool.add(text, text)
            kept.append(text)
    assert 10 < compared < count - 10


def test_tokens_are_those_of_rouge_score():
    from rouge_score.tokenize import tokenize

    for text in ["It's 3.5 o'clock!", "naïve café – déjà-vu", "日本語", "", "A_B-C  d\te\nf"]:
        assert tokenise(text) == tokenize(text, None)


def test_exactly_the_threshold_is_kept():
    pool = NearDuplicates(0.7)
    pool.add("x", "a b c d e f g h i j")
    assert pool.find("a b c d e f g k l m") is None  # F1 = 14/20 = 0.7
    assert pool.find("a b c d e f g h l m") == "x"  # F1 = 16/20 = 0.8


def test_texts_without_tokens_are_duplicates_of_equal_texts_only():
    pool = NearDuplicates(0.7)
    pool.add("x", "写一首诗")
    assert pool.find("列出三种水果") is None
    assert pool.find("🙂🙂") is None
    assert pool.find(" 写一首诗 ") == "x"
