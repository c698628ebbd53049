from __future__ import annotations

import json
from math import log

import pytest
from exams import load, made, score_all

from isheep.errors import UserError
from isheep.evaluation.base import Floor, Item
from isheep.evaluation.kinds.heldout import Heldout, repetition
from isheep.evaluation.pairs import mismatched
from isheep.serving.engines.base import Completion, Score

ROWS = [
    {"id": "a", "instruction": "Name a colour.", "input": "", "output": "Red"},
    {"id": "b", "instruction": "Name a fruit.", "output": "Plum"},
    {"id": "c", "instruction": "Translate.", "input": "good day", "output": "Guten Tag, mein Freund"},
]


@pytest.fixture
def items(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS))
    return load(Heldout, path)


def answers(right, wrong, text="Fine.", finish="stop", tokens=2):
    return {
        "likelihood": Score("", (right, wrong), (1, 1)),
        "answer": Completion("", text, finish, None, 5, tokens),
    }


def test_each_answer_is_compared_with_the_one_nearest_in_length(items):
    assert [item.fields["mismatched"] for item in items] == ["Plum", "Red", "Plum"]
    twins = [Item(str(number), {"output": text}) for number, text in enumerate(["aa", "aa", "bbbb", "c"])]
    assert mismatched(twins, twins[0]) == "c"


def test_the_mismatched_answer_does_not_depend_on_the_limit(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS))
    assert load(Heldout, path, 1)[0].fields["mismatched"] == "Plum"


def test_the_prompt_joins_instruction_and_input_and_two_things_are_asked(items):
    likelihood, answer = made(Heldout, max_tokens=9).requests(items[2], {})
    assert likelihood.turns[0]["content"] == "Translate.\n\ngood day" and likelihood.turns == answer.turns
    assert likelihood.continuations == ("Guten Tag, mein Freund", "Plum")
    assert answer.sampling.temperature == 0 and answer.sampling.max_tokens == 9
    assert made(Heldout).requests(items[2], {"likelihood": 1}) == [made(Heldout).requests(items[2], {})[1]]


def test_bits_per_byte_are_pooled_over_bytes(items):
    # "Red": 3 bytes at 6 bits; "Plum": 4 bytes at 8 bits: 14 bits over 7 bytes.
    bits = {"a": answers(-6 * log(2), -9.0), "b": answers(-8 * log(2), -3.0)}
    metrics = made(Heldout).summarise(score_all(made(Heldout), items[:2], bits))
    assert metrics["heldout_bits_per_byte"].value == pytest.approx(2.0)
    assert metrics["heldout_bits_per_byte"].terms["b"] == pytest.approx((8.0, 4.0))


def test_preference_compares_log_likelihood_per_byte(items):
    # "Red" (3 bytes) at -3 against "Plum" (4 bytes): -4 ties, -5 loses, -3.5 wins.
    preferred = [made(Heldout).score(items[0], answers(-3.0, wrong))["preferred"] for wrong in (-4.0, -5.0, -3.5)]
    assert preferred == [0.5, 1.0, 0.0]


def test_a_pair_that_does_not_fit_the_context_is_counted_apart(items):
    none = {"likelihood": Score("", (), ()), "answer": Completion("", "", "context", None, 5, 0)}
    rows = score_all(made(Heldout), items[:2], {"a": none, "b": answers(-4 * log(2), -9.0)})
    metrics = made(Heldout).summarise(rows)
    assert metrics["heldout_bits_per_byte"].value == pytest.approx(1.0) and metrics["heldout_bits_per_byte"].n == 1
    assert metrics["heldout_too_long"].value == 0.5 and metrics["heldout_stops"].value == 0.5


def test_categories_are_reported_apart_where_the_file_has_them(items):
    rows = score_all(made(Heldout), items[:2], {"a": answers(-log(2) * 3, -9.0), "b": answers(-log(2) * 8, -9.0)})
    assert made(Heldout).groups(rows) == {}
    rows[0]["category"] = "writing"
    groups = made(Heldout).groups(rows)
    assert list(groups) == ["writing"] and groups["writing"]["heldout_bits_per_byte"].value == pytest.approx(1.0)


def test_stopping_emptiness_repetition_and_length_come_from_the_own_answer(items):
    loop = answers(-1.0, -2.0, "a b c d a b c d", "length", 30)
    metrics = made(Heldout).summarise(
        score_all(made(Heldout), items[:2], {"a": loop, "b": answers(-1.0, -2.0, " \n", tokens=0)})
    )
    assert metrics["heldout_stops"].value == 0.5 and metrics["heldout_empty"].value == 0.5
    assert metrics["heldout_repetition"].value == pytest.approx(0.1) and metrics["heldout_answer_tokens"].value == 15


@pytest.mark.parametrize(
    ("text", "share"),
    [("", 0), ("one two three", 0), ("a b c d e", 0), ("a b c d a b c d", 1 - 4 / 5), ("la " * 103, 1 - 1 / 100)],
)
def test_repetition_is_the_share_of_four_grams_seen_before(text, share):
    assert repetition(text) == pytest.approx(share)


def test_the_uniform_byte_model_has_eight_bits_a_byte_and_no_preference(items):
    metrics = made(Heldout).summarise(score_all(Floor(made(Heldout), "lol"), items, {}))
    assert metrics["heldout_bits_per_byte"].value == pytest.approx(8.0)
    assert metrics["heldout_preference"].value == 0.5 and metrics["heldout_stops"].value == 1


def test_self_instruct_rows_are_read_as_they_are(tmp_path):
    path = tmp_path / "seeds.jsonl"
    rows = [
        {"id": f"seed_{n}", "instruction": f"Do {n}.", "instances": [{"input": "x", "output": f"Done {n}"}]}
        for n in (1, 2)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    wanted = {"prompt": "Do 1.\n\nx", "output": "Done 1", "category": "", "mismatched": "Done 2"}
    assert load(Heldout, path)[0].fields == wanted


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "a", "instruction": "x", "output": " "}, ":1: the output is blank"),
        ({"id": "a", "output": "y"}, ":1: the row has no 'instruction'"),
        ({"instruction": "x", "output": "y"}, ":1: the row has no 'id'"),
        ({"id": "a", "instruction": "x", "instances": []}, ":1: 'instances' must be a list"),
        ({"id": "a", "instruction": "x", "output": "y"}, "at least two pairs"),
    ],
)
def test_a_pair_that_cannot_be_used_is_named(tmp_path, row, message):
    (tmp_path / "p.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match=message):
        load(Heldout, tmp_path / "p.jsonl")
