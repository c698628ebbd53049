"""Alarms and the change since d_0: what rings, at which value, and what is said."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from isheep.config.health import Alarms, Health
from isheep.errors import UserError
from isheep.health import change
from isheep.health.alarms import lines, refuse, ring
from isheep.health.readings import Readings, read, write


def value(number: float | None) -> dict:
    return {"value": number, "n": 9, "unit": "share", "better": ""}


def document(**groups) -> dict:
    return {"round": 2, "change": {}, **groups}


def duplicates(**pools: float) -> dict:
    every = {"within_round": 0.0, "seeds": 0.0, "earlier_rounds": 0.0} | pools
    return {
        "near": {field: {pool: value(share) for pool, share in every.items()} for field in ("instruction", "output")}
    }


def generated(cut: float = 0.1, blank: float = 0.0) -> dict:
    return {"output": {"share_at_limit": value(cut), "share_empty": value(blank)}}


CASES = {
    "shrunken_answers": (document(generated=generated(), change={"output_words": value(0.2)}), 5.0, "5 times fewer"),
    "at_token_limit": (document(generated=generated(cut=0.6)), 0.6, "60 %"),
    "empty_answers": (document(generated=generated(blank=0.2)), 0.2, "20 %"),
    "near_duplicates": (document(duplicates=duplicates(within_round=0.26)), 0.26, "26 % of instructions"),
    "repeated_rounds": (document(duplicates=duplicates(earlier_rounds=0.5)), 0.5, "50 % of instructions"),
    "copied_seeds": (document(duplicates=duplicates(seeds=0.1)), 0.1, "10 % of instructions"),
    "fallen_diversity": (
        document(diversity={}, change={"instruction_distinct_2": value(0.9), "output_distinct_2": value(0.75)}),
        0.25,
        "output distinct-2 is 25 % lower",
    ),
    "fallen_perplexity": (document(perplexity={}, change={"perplexity": value(0.4)}), 0.6, "perplexity under the base"),
    "scores_at_maximum": (
        document(scores={"q": {"share_at_maximum": value(0.7), "correlation_with_length": value(0.1)},
                         "pmi": {"share_at_maximum": value(None), "correlation_with_length": value(None)}}),
        0.7,
        "70 % of rows get the best score by q",
    ),
    "scores_follow_length": (
        document(scores={"q": {"share_at_maximum": value(0.1), "correlation_with_length": value(-0.8)}}),
        0.8,
        "q has a rank correlation of 0.8",
    ),
    "contamination": (
        document(overlap={"bad": {"error": "x"}, "set": {"8": {"rows": 9, "share": value(0.9)},
                                                         "13": {"rows": 1, "share": value(0.02)}}}),
        0.02,
        "2 % of rows share 13 words with set",
    ),
}  # fmt: skip


def test_every_alarm_has_a_case_here_and_they_keep_their_order():
    assert list(CASES) == list(Alarms.model_fields)


@pytest.mark.parametrize("name", CASES)
def test_an_alarm_rings_at_its_limit_and_says_why(name):
    measured, expected, words = CASES[name]
    found = ring(measured, Alarms())["alarms"]
    assert [alarm["name"] for alarm in found] == [name]
    assert found[0]["value"] == pytest.approx(expected) and found[0]["level"] == "warn"
    assert found[0]["threshold"] == getattr(Alarms(), name).at
    assert words in found[0]["message"] and "(alarm at " in found[0]["message"] and "\n" not in found[0]["message"]
    higher = Alarms.model_validate({name: {"at": min(expected * 1.01, 1) if expected < 1 else expected * 1.01}})
    assert ring(measured, higher)["alarms"] == []
    assert ring(measured, Alarms.model_validate({name: {"action": "off"}}))["alarms"] == []


def test_the_worst_reading_is_told():
    measured = document(duplicates=duplicates(within_round=0.3))
    measured["duplicates"]["near"]["output"]["within_round"] = value(0.9)
    assert ring(measured, Alarms())["alarms"][0]["message"].startswith("90 % of outputs are near-duplicates")


def test_what_was_not_measured_or_cannot_be_told_is_not_checked():
    assert ring(document(), Alarms()) == {"alarms": [], "checked": 0}
    unknown = document(scores={"q": {"share_at_maximum": value(None), "correlation_with_length": value(0.1)}})
    assert ring(unknown, Alarms()) == {"alarms": [], "checked": 1}


def test_only_alarms_that_stop_refuse_the_round_in_one_line_that_says_what_to_type():
    settings = Alarms.model_validate({"near_duplicates": {"action": "stop"}, "copied_seeds": {"at": 0.2}})
    measured = document(duplicates=duplicates(within_round=0.26, seeds=0.3))
    measured |= ring(measured, settings)
    assert len(lines(measured)) == 2
    with pytest.raises(UserError) as raised:
        refuse(measured, "results/a/d_2/health.json")
    told = str(raised.value)
    assert told.startswith("alarm near_duplicates: 26 % of instructions are near-duplicates of an earlier one")
    assert "(alarm at 25 %)" in told and "d_2 is not trained on" in told and "results/a/d_2/health.json" in told
    assert "health.alarms.near_duplicates.action: warn" in told and "copied_seeds" not in told and "\n" not in told
    refuse(measured | {"alarms": measured["alarms"][1:]}, "health.json")


@pytest.mark.parametrize(
    "wrong",
    [
        {"alarms": {"near_duplicates": {"at": 25}}},
        {"alarms": {"near_duplicate": {"at": 0.2}}},
        {"alarms": {"contamination": {"action": "panic"}}},
        {"measures": ["length"]},
        {"ngrams": []},
        {"ngrams": [0]},
        {"measures": [], "alarms": {"contamination": {"action": "stop"}}},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        Health.model_validate(wrong)


def rows(*outputs: str) -> list[dict]:
    return [{"instruction": "a b c d", "output": output} for output in outputs]


def test_diversity_is_compared_on_equally_many_rows():
    now, first = rows("x y z", "x y z"), rows("a b c", "d e f", "a b c", "a b c")
    found = change.of_diversity(now, first)
    assert found["output_distinct_2"] == {"value": 0.5, "n": 2, "unit": "times d_0", "better": ""}
    assert found["instruction_distinct_2"]["value"] == 1.0
    assert change.of_diversity(rows("x"), rows("y"))["output_distinct_2"]["value"] is None


def test_lengths_are_compared_by_their_medians():
    assert change.of_words(8, 40, 5)["output_words"]["value"] == 0.2
    assert change.of_words(None, 40, 0)["output_words"]["value"] is None
    assert change.of_words(3, 0, 5)["output_words"]["value"] is None


def readings(*nats: float | None, vectors: list | None = None) -> Readings:
    told = [
        {"id": str(i), "log_likelihood": None if n is None else -n, "tokens": 0 if n is None else 2, "bytes": 4}
        for i, n in enumerate(nats)
    ]
    made = np.array(vectors or np.eye(len(nats)), dtype=np.float32)
    return Readings(told, {"instruction": made, "output": made})


def test_perplexity_and_bits_per_byte_are_pooled_over_the_rows_that_could_be_read():
    found = readings(np.log(8), None, np.log(2)).metrics()
    # 16 to one over four tokens: 2; four bits over eight bytes: a half.
    assert found["value"] == pytest.approx(2.0) and found["n"] == 2
    assert found["bits_per_byte"]["value"] == pytest.approx(0.5)
    assert found["share_unread"] == {"value": 0.333333, "n": 3, "unit": "share", "better": "lower"}
    assert readings(None).metrics()["value"] is None


def test_readings_are_compared_on_equally_many_rows():
    now, first = readings(1.0, 1.0), readings(2.0, 2.0, 2.0, 2.0)
    found = change.of_readings(now, first)
    assert found["perplexity"]["value"] == pytest.approx(np.exp(-0.5), rel=1e-5)
    assert found["output_vendi"]["value"] == pytest.approx(1.0)
    collapsed = readings(1.0, 1.0, vectors=[[1, 0], [1, 0]])
    assert change.of_readings(collapsed, first)["instruction_vendi"]["value"] == pytest.approx(0.5)


def test_readings_come_back_from_their_files(tmp_path):
    made = readings(1.5, None, vectors=[[1, 2, 3], [4, 5, 6]])
    write(tmp_path / "probe.jsonl", tmp_path / "probe.safetensors", made)
    again = read(tmp_path / "probe.jsonl", tmp_path / "probe.safetensors")
    assert again.rows == made.rows and np.array_equal(again.vectors["output"], made.vectors["output"])
