"""The decision before a round: what was spent, what the next one will take, and what a run then consists of."""

from __future__ import annotations

import pytest

from isheep.config import load
from isheep.data.files import write_json
from isheep.documents.budget import words
from isheep.documents.stages import Stage
from isheep.runner.portable import ROOT
from isheep.workflow import budget


def run(**settings):
    return load({"runs": {"a": {"preset": "fake", "recipe": "i_sheep", "rounds": 4, **settings}}}, ROOT).runs["a"]


def stage(name: str, i: int, seconds: float, gpus: int = 0) -> Stage:
    return Stage(f"d_{i}/{name}", name, i, "a", {}, seconds, seconds * gpus, "", "", (), {})


def decided(i: int, goes_on: bool, limits: dict) -> dict:
    hours = {"gpu_hours": 0.0, "hours": 1.5}
    return {"round": i, "of": 4, "goes_on": goes_on, "budget": limits, "spent": hours, "following": hours}


def test_a_round_is_data_with_the_model_that_it_trains():
    of_two, of_three = budget.before(run(), 2), budget.before(run(), 3)
    third = [each for each in of_three if budget.block(*each) == 2]
    assert set(of_three) == set(of_two) | set(third) and not set(of_two) & set(third)
    assert {("generate_prompts", 2), ("measure_data", 2), ("train_adapter", 3), ("score_model", 3)} <= set(third)
    assert {("identify_model", 0), ("score_model", 0), ("merge_model", 1)} <= {
        each for each in of_two if budget.block(*each) == 0
    }


def test_the_next_round_takes_the_most_that_one_took_before_in_proportion_to_its_tokens():
    done = [stage("a", 0, 3600, 2), stage("a", 1, 1800, 2), stage("b", 0, 360)]
    left = [("a", 2), ("b", 2), ("new", 2)]
    same = budget.next_hours(left, done, lambda name, i: 0)
    assert same == pytest.approx({"hours": 1.1, "gpu_hours": 2.0})
    growing = budget.next_hours(left, done, lambda name, i: i + 1)
    assert growing == pytest.approx({"hours": 3.3, "gpu_hours": 6.0})
    assert budget.hours(done) == pytest.approx({"hours": 1.6, "gpu_hours": 3.0})


def test_training_on_all_rounds_takes_longer_each_time():
    every = run(train={"trainer": "fake", "data": "all"})
    assert budget._tokens("train_adapter", every, 3) == 3 * budget._tokens("train_adapter", every, 1) > 0


def test_a_run_has_the_rounds_before_a_stop_under_the_budget_of_now(tmp_path):
    limits = {"hours": 2.0}
    write_json(tmp_path / "iter_1/budget.json", decided(1, True, limits))
    write_json(tmp_path / "iter_2/budget.json", decided(2, False, limits))
    assert budget.within(run(budget=limits), tmp_path).rounds == 2
    assert budget.within(run(budget={"hours": 3}), tmp_path).rounds == 4
    assert budget.within(run(), tmp_path).rounds == 4
    told = words(budget.decision(tmp_path, 2, run(budget=limits)))
    assert told == (
        "Stopped by its budget after 2 of 4 rounds, with iter_2: 1.5 of 2 hours are spent, and the next round would "
        "take about 1.5 more."
    )
