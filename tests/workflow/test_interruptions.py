"""Killed anywhere, started again: the same bytes, and no request answered twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from copy import deepcopy
from pathlib import Path

import pytest
from workplace import FAKE, Workplace

STAGES = {"generate_prompts": 8, "generate_outputs": 30, "assess_outputs": 40}


def slow(delay_ms: float) -> dict:
    settings = deepcopy(FAKE)
    settings["rounds"] = 1
    settings["engine"] = {"misbehave": {"delay_ms": delay_ms}}
    return settings


def journals(place: Workplace, stage: str) -> list[Path]:
    return list(place.folder.glob(f"results/a/d_0/.work/{stage}/*/*.jsonl"))


def entries(place: Workplace, stage: str) -> int:
    return sum(max(file.read_bytes().count(b"\n") - 1, 0) for file in journals(place, stage))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("undisturbed"))
    place.configure({"a": slow(0)})
    place.snakemake()
    return place


ONE, *OTHERS = reversed(STAGES)


@pytest.mark.parametrize("stage", [ONE, *(pytest.param(stage, marks=pytest.mark.slow) for stage in OTHERS)])
def test_kill_minus_9_of_driver_and_jobs_loses_nothing(workplace, undisturbed, stage):
    place = workplace()
    place.configure({"a": slow(25)})
    running = subprocess.Popen(
        place.command(), cwd=place.folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while entries(place, stage) < 3 and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    kept = entries(place, stage)
    assert 3 <= kept < STAGES[stage] + 100
    place.configure({"a": slow(0)})
    place.snakemake("--unlock")
    done = place.snakemake()
    assert f"{kept} already done" in done.stderr
    assert place.hashes() == undisturbed.hashes()
    assert entries(place, stage) == entries(undisturbed, stage)


def test_an_engine_that_dies_is_followed_by_one_that_goes_on(workplace, undisturbed):
    place = workplace()
    settings = slow(0)
    settings["engine"]["misbehave"]["crash_after"] = 12
    place.configure({"a": settings})
    done = place.snakemake("--retries", "30")
    assert "already done" in done.stderr
    assert place.hashes() == undisturbed.hashes()
