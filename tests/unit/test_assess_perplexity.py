"""Perplexity: which text is scored, and the number that comes of it."""

from __future__ import annotations

import math

import pytest

from isheep.assess.base import Panel
from isheep.assess.discrimination import discrimination, sample_pairs
from isheep.assess.kinds.perplexity import Perplexity
from isheep.serving.addressee import Addressee
from isheep.serving.engines.base import Score
from isheep.serving.engines.fake import FakeTemplate

ROW = {"id": "r", "instruction": "Name a tree.", "input": "in Norway", "output": "A spruce."}
CHAT = "<|im_start|>user\nName a tree.\n\nin Norway<|im_end|>\n<|im_start|>assistant\n"
MODEL = Addressee(FakeTemplate(), None, lambda request: 0)


@pytest.mark.parametrize(
    ("of", "prompt", "text"),
    [
        ("prompt", "", "Name a tree.\n\nin Norway"),
        ("output", "", "A spruce."),
        ("answer", CHAT, "A spruce."),
        ("pair", "", "Name a tree.\n\nin Norway\n\nA spruce."),
    ],
)
def test_the_text_that_is_scored(of, prompt, text):
    (asked,) = Perplexity(of=of).scorings(ROW, MODEL)
    assert (asked.prompt.text, asked.continuations) == (prompt, (text,))


def test_it_is_the_exponential_of_nats_a_token():
    score = Perplexity(name="ppl")
    assert score.columns_of(ROW, lambda _: Score("r/ppl", (-4 * math.log(7),), (4,))) == {"ppl": 7.0}
    assert score.columns_of(ROW, lambda _: Score("r/ppl", (), ())) == {"ppl": None}, "too long for the context"
    assert score.columns_of(ROW, lambda _: Score("r/ppl", (-math.inf,), (4,))) == {"ppl": None}


def test_an_empty_output_is_not_asked_about_but_its_prompt_is():
    empty = {**ROW, "output": " "}
    assert Perplexity(of="answer").scorings(empty, MODEL) == []
    assert Perplexity(of="answer").columns_of(empty, lambda _: pytest.fail("asked")) == {"perplexity": None}
    assert len(Perplexity(of="prompt").scorings(empty, MODEL)) == 1


def test_it_is_not_held_against_shuffled_pairs_as_it_judges_nothing():
    rows = [ROW, {**ROW, "id": "s", "output": "Oslo."}]
    pairs = sample_pairs(rows, 2, 0)
    assert pairs and discrimination(pairs, Panel([Perplexity()], MODEL), lambda _: Score("", (-1.0,), (1,)), 0.6) == {}
