"""The config file edited while a driver lives: its jobs, on a cluster too, read what the driver has read."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from starts import Scenario, settings

PLUGINS = Path(__file__).parent / "plugins"
PATIENCE = 600


def test_jobs_of_a_cluster_read_the_settings_with_which_their_driver_started(
    empty: Callable[[], Scenario], finished: Scenario
) -> None:
    place = empty()
    place.configure({"a": settings()})
    command = place.command("--executor", "apart", "--jobs", "1", "results/a/d_0/prompts.jsonl")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PLUGINS), os.environ.get("PYTHONPATH", "")])}
    driver = subprocess.Popen(
        command, cwd=place.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + PATIENCE
    while not list(place.folder.glob(".isheep.config-*")) and time.monotonic() < deadline and driver.poll() is None:
        time.sleep(0.01)
    place.configure({"a": settings(seed=7, prompts={"rows": 5})})
    said, _ = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, said
    made = json.loads(place.path("d_0/records/generate_prompts.json").read_text())["made"]
    assert made["seed"] == 0 and made["settings"]["prompts"]["rows"] == 12
    assert place.path("d_0/prompts.jsonl").read_bytes() == finished.path("d_0/prompts.jsonl").read_bytes()
    assert not list(place.folder.glob(".isheep.config-*")), "what was frozen goes with its driver"
    assert place.start("-n", "results/a/d_0/prompts.jsonl").jobs["generate_prompts"], "the next start sees the edit"
