"""How the workflow is started: beside another driver, without flock, from moved results, with what YAML guesses."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from no_flock import preload
from starts import Scenario, settings

from isheep.workflow import lock


def test_a_second_driver_is_refused_in_one_line_and_who_only_looks_is_not(place: Scenario) -> None:
    place.path("d_0/filtered.rejected.jsonl").unlink()
    other = lock.take(place.folder)  # this process is alive
    second = place.start(check=False)
    assert second.code and not second.jobs and "another driver works in this folder" in second.said
    assert "filter_outputs" in place.start("-n").jobs
    looked = place.start("verify", check=False)
    assert "missing artifact: results/a/d_0/filtered.rejected.jsonl" in looked.said
    assert (place.folder / lock.LOCK).exists(), "still the other's"
    lock.release(other, finished=True)
    assert place.start().jobs == {"filter_outputs": 1}


def test_a_file_system_without_flock_is_worked_on_all_the_same(
    place: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place.hashes()
    place.path("d_1/outputs.jsonl").unlink()
    for name, value in preload(tmp_path).items():
        monkeypatch.setenv(name, value)
    done = place.start()
    assert done.jobs == {"generate_outputs": 1} and done.asked == 0 and place.hashes() == before
    assert "has no flock" in done.said and "Traceback" not in done.said


def test_a_run_moved_elsewhere_and_linked_is_as_good_and_a_link_to_nowhere_is_told(place: Scenario) -> None:
    place.path("").rename(place.folder / "moved")
    place.path("").parent.joinpath("a").symlink_to(place.folder / "moved")
    place.path("d_0/filtered.rejected.jsonl").unlink()
    assert place.start().jobs == {"filter_outputs": 1}
    assert "a: verified:" in place.start("verify").said
    shutil.rmtree(place.folder / "moved")
    lost = place.start(check=False)
    assert lost.code and not lost.jobs and "results/a: a link to" in lost.said and "Traceback" not in lost.said


def test_a_hundred_rounds_are_planned(empty: Callable[[], Scenario]) -> None:
    place = empty()
    place.configure({"a": settings(rounds=100)})
    planned = place.start("-n")
    assert planned.jobs["train_adapter"] == planned.jobs["generate_prompts"] == 100
    assert planned.jobs["evaluate_model"] == 101


TRAPS = """
runs:
  2026-01-31: {preset: fake}
  on: {preset: fake}
  12: {preset: fake}
  a: {preset: fake, rounds: yes}
  a: {preset: fake}
"""


def test_what_yaml_guesses_or_loses_is_told_and_never_guessed(empty: Callable[[], Scenario]) -> None:
    place = empty()
    (place.folder / "config.yaml").write_text(TRAPS)
    trapped = place.start("-n", check=False)
    assert trapped.code and "Traceback" not in trapped.said and "before anything runs" not in trapped.said
    for line, what in ((3, "a date"), (4, "true or false"), (5, "a number"), (7, "is also in line 6")):
        assert any(f"config.yaml:{line}:" in told and what in told for told in trapped.said.splitlines()), trapped.said
    (place.folder / "config.yaml").write_text("# nothing yet\n")
    nothing = place.start("-n", check=False)
    assert nothing.code and "keys at top level" in nothing.said, "Snakemake's own word, which docs/recovery.md explains"
    command = [*place.command("-n")[:-2], "--config", "seed=1"]
    alone = subprocess.run(command, cwd=place.folder, text=True, capture_output=True)
    assert alone.returncode and "--config alone, so that no config file is read" in alone.stdout + alone.stderr
