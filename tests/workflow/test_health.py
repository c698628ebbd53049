"""Data health on the fake engine: every round is measured, equal bytes, and alarms that stop before training."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from workplace import FAKE

STOP = {"alarms": {"scores_at_maximum": {"at": 0.01, "action": "stop"}}}


def health(place, run: str = "a", i: int = 0) -> dict:
    return json.loads((place.folder / f"results/{run}/d_{i}/health.json").read_text())


def run(rounds: int = 1, **changes) -> dict:
    return {**deepcopy(FAKE), "rounds": rounds, **changes}


def started(done, rule: str) -> bool:
    return f" {rule}: done" in done.stdout + done.stderr


def test_an_alarm_that_stops_ends_the_run_before_training_and_leaves_its_numbers(workplace):
    place = workplace()
    place.configure({"a": run(health=STOP)})
    done = place.snakemake(check=False)
    text = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in text
    said = [line for line in text.splitlines() if "a round 0 check_data failed: alarm scores_at_maximum: " in line]
    assert said and "(alarm at 1 %)" in said[0] and "results/a/d_0/health.json" in said[0]
    assert "health.alarms.scores_at_maximum.action: warn" in said[0] and "logs/a/d_0/check_data.log" in said[0]
    value = next(alarm["value"] for alarm in health(place)["alarms"] if alarm["name"] == "scores_at_maximum")
    assert f"{100 * value:.3g} % of rows" in said[0]
    assert not (place.folder / "results/a/iter_1").exists()

    place.configure({"a": run(health={"alarms": {"scores_at_maximum": {"at": 0.01}}})})
    went_on = place.snakemake()
    assert "a d_0: alarm scores_at_maximum: " in went_on.stderr
    assert (place.folder / "results/a/iter_1/model/model.safetensors").is_file()


@pytest.mark.slow
def test_what_is_trained_stays_trained_when_an_alarm_is_set_afterwards_or_taken_back(workplace):
    place = workplace()
    place.configure({"a": run(2)})
    place.snakemake()
    before = place.hashes("results/a/iter_*/**/*")
    place.configure({"a": run(2, health=STOP)})
    assert place.snakemake(check=False).returncode != 0
    place.configure({"a": run(2)})
    assert not started(place.snakemake(), "train_adapter")
    quiet = {"alarms": {"scores_at_maximum": {"at": 1, "action": "stop"}}}
    place.configure({"a": run(2, health=quiet)})
    assert not started(place.snakemake(), "train_adapter")
    assert place.hashes("results/a/iter_*/**/*") == before


@pytest.mark.slow
def test_alarm_and_training_changed_together_are_both_heeded(workplace):
    place = workplace()
    place.configure({"a": run()})
    place.snakemake()
    place.configure({"a": run(health=STOP, train={"epochs": 1})})
    refused = place.snakemake(check=False)
    assert refused.returncode != 0 and not started(refused, "train_adapter")
    quiet = {"alarms": {"scores_at_maximum": {"at": 1, "action": "stop"}}}
    place.configure({"a": run(health=quiet, train={"epochs": 1})})
    assert started(place.snakemake(), "train_adapter")
    assert "Nothing to be done" in (done := place.snakemake()).stdout + done.stderr


def test_a_run_that_an_alarm_stops_does_not_stop_another(workplace):
    place = workplace()
    place.configure({"a": run(health=STOP), "b": run()})
    done = place.snakemake(check=False)
    assert done.returncode != 0
    assert (place.folder / "results/b/iter_1/model/model.safetensors").is_file()
    assert not (place.folder / "results/a/iter_1").exists()
    assert not (place.folder / "results/b/d_0/prompts.jsonl").exists()


@pytest.mark.slow
def test_equal_runs_share_their_health(workplace):
    place = workplace()
    place.configure({"a": run(), "b": run(merge={"probe_prompts": 2})})
    place.snakemake()
    assert health(place)["round"] == 0
    assert not (place.folder / "results/b/d_0").exists()


@pytest.mark.slow
def test_what_is_not_measured_is_not_there(workplace):
    place = workplace()
    place.configure({"a": run(health={"measures": ["lengths"]}), "b": run(seed=1, health={"measures": []})})
    done = place.snakemake()
    found = health(place)
    assert "lengths" in found and not {"diversity", "perplexity", "scores"} & set(found)
    assert found["checked"] == 2
    assert not started(done, "probe_data")
    assert not (place.folder / "results/b/d_0/health.json").exists()
    assert (place.folder / "results/b/iter_1/model/model.safetensors").is_file()


def test_an_alarm_cannot_stop_what_is_not_measured(workplace):
    place = workplace()
    place.configure({"a": run(health={**STOP, "measures": ["lengths"]})})
    done = place.snakemake(check=False)
    text = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in text
    assert "runs.a.health: alarms.scores_at_maximum can stop only what is measured: add scores to measures" in text
    assert not (place.folder / "results").exists()


def test_health_files_are_in_the_manifest_and_verified(workplace):
    place = workplace()
    place.configure({"a": run()})
    place.snakemake()
    manifest = json.loads((place.folder / "results/a/manifest.json").read_text())["made"]
    assert {"d_0/probe_data", "d_0/measure_data"} <= set(manifest["stages"])
    assert "verified" in (done := place.snakemake("verify")).stdout + done.stderr
    file = place.folder / "results/a/d_0/health.json"
    file.write_text(file.read_text().replace('"round": 0', '"round": 7'))
    done = place.snakemake("verify", check=False)
    assert done.returncode != 0 and "d_0/health.json" in done.stdout + done.stderr
