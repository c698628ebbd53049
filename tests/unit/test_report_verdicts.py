"""What a page says of numbers: a verdict for each benchmark, the answer on top, numbers as people read them."""

from __future__ import annotations

import pytest
from report_results import entry

from isheep.data.numbers import shown
from isheep.report.outcome import Outcome, outcome
from isheep.report.verdicts import change, judge

# Verdicts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "words", "tone"),
    [
        (entry(floors={"lol": 0.2, "echo": 0.25}), "clearly better than its floor of 25.0 % (the answer", "plain"),
        (entry(floors={"lol": 0.3}), "not clearly better than its floor of 30.0 %", "bad"),
        (entry(better="lower", floors={"lol": 0.3}), "not clearly better than its floor of 30.0 %", "bad"),
        (entry(better="lower", floors={"lol": 0.5, "empty": 0.6}), "clearly better than its floor of 50.0 %", "plain"),
        (entry(base=(0.04, 0.01, 0.07)), "clearly better than the base (+4.0 points, 95 % +1.0 points to", "good"),
        (entry(base=(0.04, 0.01, 0.07), better="lower"), "clearly worse than the base", "bad"),
        (entry(base=(0.01, -0.03, 0.05)), "no clear change from the base", "plain"),
        (entry(base=(0.04, 0.01, 0.07), better=""), "clearly higher than the base", "plain"),
        (entry(base=(0.04, 0.01, 0.07), floors={"lol": 0.3}), "clearly better than the base", "bad"),
        (entry(base=()), "its difference to the base has no interval", "plain"),
        (entry(low=None, high=None), "iter_2 has 35.0 % (no interval, n = 60)", "plain"),
        (entry(counts=False, objections=["it cannot judge"]), "does not count: it cannot judge", "bad"),
        (entry(error="no such file"), "not measured: no such file", "bad"),
        (entry(value=None), "no value", "plain"),
    ],
)  # fmt: skip
def test_verdict_says_no_more_than_the_numbers(told, words, tone):
    verdict = judge("bench", told, "iter_2")
    assert words in verdict.text and verdict.tone == tone
    assert (verdict.word == "not clear of its floor") == ("not clearly better than its floor" in verdict.text)


def few(told: dict) -> dict:
    told["metrics"]["x"]["n"] = told["metrics"]["x"]["minus_base"]["n"] = 19
    return told


@pytest.mark.parametrize(
    ("told", "mixed", "words"),
    [
        (few(entry(base=(0.4, 0.3, 0.5), floors={"lol": 0.1})), False, "too few items to tell a change from the base"),
        (entry(base=(0.4, 0.3, 0.5)), True, "better than the base (+40.0 points, 95 % +30.0 points to +50.0 points, "
         "n = 60), but the base was asked in the plain format and iter_2 through the chat template"),
    ],
)  # fmt: skip
def test_nothing_is_clear_of_few_items_or_of_two_formats(told, mixed, words):
    verdict = judge("bench", told, "iter_2", mixed)
    assert words in verdict.text and "clearly" not in verdict.text and verdict.tone == "plain"


# The answer on top ---------------------------------------------------------------------------------------------------


def answered(*models: dict, chat: bool = True, benchmarks: dict | None = None) -> Outcome:
    """Return the answer of a base with 0.2 and of models with these entries by benchmark."""
    base = {name: entry(0.2, 0.1, 0.3, kind="ifeval") for model in models for name in model}
    scores = [{"round": i, "benchmarks": told} for i, told in enumerate([base, *models])]
    return outcome({"model": {"chat": chat}, "evaluation": {"benchmarks": benchmarks or {}}}, scores)


def model(**benchmarks: tuple) -> dict:
    return {name: entry(0.2 + of[0], 0.1, 0.9, base=of, kind="ifeval") for name, of in benchmarks.items()}


BETTER, WORSE, SAME = (0.1, 0.02, 0.18), (-0.1, -0.18, -0.02), (0.01, -0.05, 0.07)


@pytest.mark.parametrize(
    ("models", "answer", "take", "words"),
    [
        ([model(a=BETTER, b=SAME)], "Yes", "iter_1", "a (x) from 20.0 % to 30.0 %. It is clearly worse in none."),
        ([model(a=BETTER, b=WORSE)], "In part", "iter_1", "worse in 1: b (x) from 20.0 % to 10.0 %."),
        ([model(a=WORSE)], "No", None, "Keep the base: even the best round, iter_1, is clearly worse"),
        ([model(a=SAME)], "Not clear", None, "no model differs clearly from the base"),
        ([model(a=BETTER), model(a=SAME)], "Yes", "iter_1", "The last round, iter_2, is not better than it."),
        ([model(a=BETTER), model(a=(0.3, 0.22, 0.38))], "Yes", "iter_2", "from 20.0 % to 50.0 %"),
        ([], "Not known", None, "no model after the base was measured"),
    ],
)
def test_answer_says_which_round_to_take_and_by_how_much(models, answer, take, words):
    told = answered(*models)
    assert (told.answer, told.take) == (answer, take) and words in told.text


def test_answer_claims_nothing_of_two_formats_nor_of_what_lol_gets():
    told = answered(model(a=BETTER), chat=False)
    assert told.answer == "Not clear" and "clearly" not in told.text and "plain format" in told.text
    assert told.rows[1][1][0].word == "better, other format"
    alike = answered(model(a=BETTER), chat=False, benchmarks={"a": {"format": "template"}})
    assert alike.answer == "Yes" and "clearly" in alike.text
    low = {"a": entry(0.3, 0.22, 0.38, base=BETTER, floors={"lol": 0.25}, kind="ifeval")}
    assert answered(low).answer == "Not clear" and answered(low).rows[1][1][0].word == "better, not past its floor"


def test_scores_that_do_not_count_are_not_compared():
    verdict = judge("bench", entry(base=(0.4, 0.3, 0.5), counts=False), "iter_2")
    assert "clearly" not in verdict.text and "did not pass calibration" in verdict.text


def test_a_difference_whose_interval_touches_zero_is_no_change():
    assert change({"value": 0.1, "low": 0.0, "high": 0.2, "n": 60}, "higher") == "none"
    assert change(None, "higher") == "unknown"


@pytest.mark.parametrize(
    ("value", "unit", "signed", "text"),
    [(0.1234, "share", False, "12.3 %"), (-0.5, "share", True, "\u221250.0 points"), (12345.6, "", False, "12,346"),
     (0.0, "", True, "\u00b10"), (1.23456, "bits", False, "1.235"), (None, "", False, "\u2013"), (3, "", True, "+3")],
)  # fmt: skip
def test_numbers_as_people_read_them(value, unit, signed, text):
    assert shown(value, unit, signed) == text
