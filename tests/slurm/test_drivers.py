"""Drivers under SLURM: a second start beside a living one, and a config edited while jobs are queued."""

from __future__ import annotations

import json

import pytest
from places import PATIENCE, faulty
from test_faults import FILTERED, UNTIL_FILTERED, UNTIL_PROMPTS, of_rule, same_prompts, tell, wait_for_work

pytestmark = pytest.mark.timeout(4 * PATIENCE)


def second_start(place, undisturbed):
    place.begin_as(undisturbed)
    place.configure({"a": faulty(delay_ms=8000)})
    with place.start(*UNTIL_PROMPTS) as driver:
        job, _ = wait_for_work(driver, entries=1)
        looked = place.run("verify")
        second = place.run(*UNTIL_FILTERED, "--nolock")  # Snakemake's own lock may be gone by now
        alive = job in [running for running, _ in place.jobs()]
        driver.wait()
        return tell(place, driver, job=job, looked=looked, second=second, alive=alive)


def config_edited(place, undisturbed):
    place.begin_as(undisturbed)
    place.configure({"a": faulty(delay_ms=1500)})
    with place.start(*UNTIL_FILTERED) as driver:
        wait_for_work(driver, entries=1)
        place.configure({"a": {**faulty(), "seed": 7, "outputs": {"sampling": {"max_tokens": 7}}}})
        driver.wait()
        return tell(place, driver)


@pytest.mark.scenario(of=second_start)
def test_who_looks_or_starts_beside_a_living_driver_ends_none_of_its_jobs(outcome, undisturbed):
    assert "a: NOT verified" in outcome.looked.text, outcome.looked.text
    assert outcome.second.code, outcome.second.text
    assert "another driver works in this folder" in outcome.second.text
    assert "are cancelled" not in outcome.looked.text + outcome.second.text
    assert outcome.alive and outcome.code == 0, outcome.text
    assert [(record.id, record.state) for record in of_rule(outcome)] == [(outcome.job, "COMPLETED")]
    assert not of_rule(outcome, "generate_outputs")
    assert same_prompts(outcome.place, undisturbed)


@pytest.mark.scenario(of=config_edited)
def test_jobs_read_what_their_driver_has_read_though_the_config_was_edited(outcome, undisturbed):
    assert outcome.code == 0, outcome.text
    assert (outcome.place.folder / FILTERED).read_bytes() == (undisturbed.folder / FILTERED).read_bytes()
    made = json.loads((outcome.place.folder / "results/a/d_0/records/generate_outputs.json").read_text())["made"]
    assert made["seed"] == 0 and made["settings"]["outputs"]["sampling"]["max_tokens"] == 120
    assert not list(outcome.place.folder.glob(".isheep.config-*"))
