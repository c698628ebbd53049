"""A result of one run as another's model and seeds: what follows it, what tells of it, and when its run is left out."""

from __future__ import annotations

import json
import os
import subprocess

from starts import Scenario, settings

MODEL, SEEDS = "results/a/iter_2/model", "results/a/d_0/selected.jsonl"


def taking() -> dict:
    """Return the settings of a run that goes on from run a, for one round."""
    return settings(rounds=1, model={"path": MODEL}, seeds={"path": SEEDS})


def read(place: Scenario, name: str) -> dict:
    return json.loads((place.folder / "results/b" / name).read_text())["made"]


def test_a_run_that_takes_results_of_another_waits_for_them_follows_them_and_tells_of_them(place: Scenario) -> None:
    before = place.hashes()
    place.configure({"b": taking(), "a": settings()})
    done = place.start()
    assert done.jobs["generate_prompts"] == done.jobs["train_adapter"] == done.jobs["identify_model"] == 1
    assert {name: sha256 for name, sha256 in place.hashes().items() if name.startswith("results/a/")} == before
    stages = read(place, "manifest.json")["stages"]
    ((name, origin),) = stages["d_0/generate_prompts"]["origins"].items()
    made = json.loads(place.path("d_0/records/select_data.json").read_text())
    assert origin == {"run": "a", "stage": "d_0/select_data", "record": made["sha256"], "file": SEEDS}
    assert read(place, "manifest.json")["files"][name]["text"] == place.path("d_0/selected.jsonl").read_text()
    (origin,) = stages["iter_0/identify_model"]["origins"].values()
    assert origin["stage"] == "iter_2/merge_model"
    assert not place.start().jobs
    assert "b: verified:" in place.start("verify").said

    # Made again elsewhere, from its manifest and the model alone.
    given = ("manifest=results/b/manifest.json", f"model={place.folder / MODEL}")
    command = place.command("reproduce", "--config", *given)[:-2]  # no config file
    again = subprocess.run(command, cwd=place.folder, text=True, capture_output=True)
    assert again.returncode == 0 and "b: identical:" in again.stdout, again.stdout + again.stderr

    # Its origin made anew of the same settings and other bytes: verify tells, and b alone follows.
    place.configure({"b": taking()})
    alone = place.start()
    assert alone.asked == 0 and alone.given_back == alone.jobs["train_adapter"] == 1
    rows = place.path("d_0/selected.jsonl").read_text().splitlines(keepends=True)
    old = place.path("d_0/selected.jsonl").stat().st_mtime - 1000
    place.path("d_0/selected.jsonl").write_text("".join(rows[:-1]))
    os.utime(place.path("d_0/selected.jsonl"), (old, old))
    told = place.start("verify", check=False)
    assert told.code and "b: changed origin:" in told.said and "type `snakemake`" in told.said
    followed = place.start()
    assert followed.jobs["generate_prompts"] == 1 and "identify_model" not in followed.jobs
    assert "origins" not in read(place, "d_0/records/generate_prompts.json"), "nobody made these bytes"
    assert "b: verified:" in place.start("verify").said


def test_a_run_follows_another_of_its_config_in_one_start(place: Scenario) -> None:
    other = settings(seed=3)
    place.configure({"b": taking(), "a": other})
    done = place.start("results/b/d_0/prompts.jsonl")
    assert done.jobs["generate_prompts"] == 2 + 1 and done.jobs["merge_model"] == 2
    made = read(place, "d_0/records/generate_prompts.json")
    (origin,) = made["origins"].values()
    assert origin["record"] == json.loads(place.path("d_0/records/select_data.json").read_text())["sha256"]
