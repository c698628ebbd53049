"""Keeping the best step of a training, and stopping when none better follows."""

from __future__ import annotations

import itertools

import pytest
import tiny_llama
from pydantic import ValidationError
from tiny_llama import digests, without_timing

from isheep.config.train import EarlyStop, Train
from isheep.errors import UserError
from isheep.training import checkpoint, early_stop, fake, lora, trainer

MODEL, SEED = tiny_llama.MODEL, 5
ROWS = tiny_llama.rows(15)
PAIRS = [{**row, "chosen": row["output"], "rejected": row["output"][::-1]} for row in ROWS]
# So high a rate that the held-out loss soon rises again.
HASTY = tiny_llama.TRAIN.model_copy(
    update={"learning_rate": 0.1, "epochs": 6.0, "warmup_steps": 0, "schedule": "constant", "checkpoint_steps": 2}
)


def measured(*values: float) -> list[early_stop.Measured]:
    return [early_stop.Measured(step, value) for step, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    ("values", "metric", "step", "stops"),
    [
        ((3.0, 2.0, 1.0), "loss", 3, [False, False, False]),
        ((3.0, 2.0, 2.0, 2.5), "loss", 2, [False, False, False, True]),
        ((1.0, 2.0, 0.5), "loss", 3, [False, False, False]),
        ((0.5, 0.5, 0.4), "accuracy", 1, [False, False, True]),
        ((0.1, 0.2, 0.1), "margin", 2, [False, False, False]),
    ],
)
def test_the_first_of_the_best_is_kept_and_patience_counts_from_it(values, metric, step, stops):
    settings = EarlyStop(metric=metric, patience=2)
    steps = measured(*values)
    assert early_stop.best(steps, metric).step == step
    assert [early_stop.is_spent(steps[: count + 1], settings) for count in range(len(steps))] == stops
    assert not early_stop.is_spent(steps, EarlyStop(metric=metric))


def test_the_start_counts_for_nothing_and_a_step_once():
    log = [{"step": 0, "eval_x": 0.1}, {"step": 2, "loss": 3.0}, {"step": 2, "eval_x": 2.0}, {"step": 2, "eval_x": 1.0}]
    assert early_stop.measurements(log, "eval_x") == [early_stop.Measured(2, 1.0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_llama.save(tmp_path_factory.mktemp("tiny"))


def train(folder, out, rows=ROWS, **changes):
    settings = HASTY.model_copy(update=changes)
    return lora.train(settings, MODEL, folder, rows, out / "adapter", out / "work", SEED, 1)


@pytest.fixture(scope="module")
def stopped(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("stopped")
    return out / "adapter", train(folder, out, early_stop=EarlyStop(every=1, patience=3))


def test_training_stops_when_patience_is_spent_and_gives_the_best_step(folder, tmp_path):
    still = HASTY.lora.model_copy(update={"dropout": 0.0})  # measuring moves the generator that drops
    (tmp_path / "same").mkdir()
    report = train(folder, tmp_path, lora=still, early_stop=EarlyStop(every=1, patience=3))
    kept = report["early_stop"]
    values = {each["step"]: each["value"] for each in kept["measured"]}
    assert report["steps"] == max(values) == kept["step"] + 3 < 18
    assert values[kept["step"]] == min(values.values()) == report["heldout"]["after"]
    same = train(folder, tmp_path / "same", lora=still, epochs=kept["step"] / 3)
    assert same["steps"] == kept["step"] and same["heldout"]["after"] == report["heldout"]["after"]
    assert digests(tmp_path / "same/adapter") == digests(tmp_path / "adapter")


def test_without_patience_the_best_step_of_a_whole_training_is_kept(folder, stopped, tmp_path):
    report = train(folder, tmp_path, early_stop=EarlyStop(every=5))
    assert [each["step"] for each in report["early_stop"]["measured"]] == [5, 10, 15, 18]
    assert report["steps"] == 18
    assert report["heldout"]["after"] == min(each["value"] for each in report["early_stop"]["measured"])


@pytest.mark.parametrize("died", [2, 5])
def test_an_interrupted_training_keeps_the_same_step(folder, stopped, tmp_path, monkeypatch, died):
    adapter, report = stopped
    marked = itertools.count(1)
    mark = checkpoint.mark_complete

    def die(path):
        if next(marked) == died:
            raise KeyboardInterrupt
        mark(path)

    monkeypatch.setattr(trainer, "mark_complete", die)
    with pytest.raises(KeyboardInterrupt):
        train(folder, tmp_path, early_stop=EarlyStop(every=1, patience=3))
    monkeypatch.setattr(trainer, "mark_complete", mark)
    resumed = train(folder, tmp_path, early_stop=EarlyStop(every=1, patience=3))
    assert without_timing(resumed) == without_timing(report)
    assert digests(tmp_path / "adapter") == digests(adapter)


def test_a_training_that_died_once_it_was_published_is_resumed(folder, stopped, tmp_path):
    adapter, report = stopped
    settings = {"early_stop": EarlyStop(every=1, patience=3), "checkpoint_steps": 1}
    for _ in range(2):
        again = train(folder, tmp_path, **settings)
    assert again["timing"]["resumed_from_step"] > report["early_stop"]["step"]
    assert without_timing(again) == without_timing(report)
    assert digests(tmp_path / "adapter") == digests(adapter)


def test_pairs_keep_the_step_with_the_best_margin(folder, tmp_path):
    settings = {"objective": "dpo", "early_stop": EarlyStop(metric="margin", every=2, patience=2), "epochs": 3.0}
    report = train(folder, tmp_path, PAIRS, **settings)
    kept = report["early_stop"]
    best = max(kept["measured"], key=lambda each: each["value"])
    assert (kept["metric"], kept["step"]) == ("margin", best["step"])
    assert report["preferences"]["after"]["margin"] == best["value"]


def test_the_fake_trainer_reports_the_same_things(stopped, tmp_path):
    settings = HASTY.model_copy(update={"early_stop": EarlyStop(every=1, patience=1)})
    report = fake.train(settings, MODEL, None, ROWS, tmp_path / "adapter", tmp_path / "work", SEED, 1)
    assert list(report) == list(stopped[1]) and list(report["early_stop"]) == list(stopped[1]["early_stop"])
    values = [each["value"] for each in report["early_stop"]["measured"]]
    assert len(values) < 18 and values[-1] >= min(values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"early_stop": {}, "heldout_share": 0}, "early_stop measures held-out rows: set heldout_share above 0"),
        ({"early_stop": {"metric": "margin"}}, "early_stop.metric margin is of pairs: set objective: dpo"),
    ],
)
def test_a_metric_without_what_it_measures_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        Train.model_validate(settings)


def test_rows_too_few_to_hold_any_out_are_refused_in_one_line(folder, tmp_path):
    for trainer_of in (lora.train, fake.train):
        with pytest.raises(UserError, match="early_stop: none of 3 rows is held out") as refused:
            settings = HASTY.model_copy(update={"early_stop": EarlyStop(), "heldout_share": 0.1})
            trainer_of(settings, MODEL, folder, ROWS[:3], tmp_path / "adapter", tmp_path / "work", SEED, 1)
        assert "\n" not in str(refused.value)
