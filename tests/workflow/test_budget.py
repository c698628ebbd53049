"""A run with a budget stops at the end of a round, finished and proven, and goes on where the budget is raised."""

from __future__ import annotations

import json
import re
from copy import deepcopy

import pytest
from workplace import FAKE

from isheep.results import Run

AMPLE, SCARCE = {"hours": 1000}, {"hours": 1e-9}


def run(budget: dict | None = None, rounds: int = 2, **changes) -> dict:
    return {**deepcopy(FAKE), "rounds": rounds, **({"budget": budget} if budget else {}), **changes}


def decision(place, i: int, name: str = "a") -> dict:
    return json.loads((place.folder / f"results/{name}/iter_{i}/budget.json").read_text())


def manifest(place) -> dict:
    return json.loads((place.folder / "results/a/manifest.json").read_text())["made"]


def rounds_there(place, name: str = "a") -> list[str]:
    return sorted(folder.name for folder in (place.folder / "results" / name).glob("d_*"))


def test_a_run_ends_whole_before_its_budget_breaks_and_goes_on_where_it_is_raised(workplace):
    place = workplace()
    place.configure({"a": run(SCARCE, health={"measures": []})})
    done = place.snakemake()
    assert "a: Stopped by its budget after 1 of 2 rounds, with iter_1: " in done.stdout
    assert rounds_there(place) == ["d_0"] and not (place.folder / "results/a/iter_2").exists()
    stop = decision(place, 1)
    assert (stop["round"], stop["of"], stop["goes_on"], stop["budget"]) == (1, 2, False, SCARCE)
    assert stop["spent"]["hours"] > SCARCE["hours"] and stop["following"]["hours"] > 0
    assert manifest(place)["settings"]["rounds"] == 1 and "budget" not in manifest(place)["settings"]
    page = (place.folder / "results/a/report.html").read_text()
    assert "Stopped by its budget after 1 of 2 rounds, with iter_1: " in page
    assert Run(place.folder / "results/a").settings["rounds"] == 1
    assert "a: verified" in place.snakemake("verify").stdout
    assert "Nothing to be done" in (again := place.snakemake()).stdout + again.stderr

    before = place.hashes("results/a/d_0/*.jsonl")
    place.configure({"a": run(AMPLE, health={"measures": []})})
    place.snakemake()
    assert rounds_there(place) == ["d_0", "d_1"] and place.hashes("results/a/d_0/*.jsonl") == before
    assert decision(place, 1)["goes_on"]
    assert manifest(place)["settings"]["rounds"] == 2
    assert "Stopped by its budget" not in (place.folder / "results/a/report.html").read_text()

    # What is made stays, however low the budget is set afterwards.
    place.configure({"a": run(SCARCE, health={"measures": []})})
    lowered = place.snakemake()
    assert "Stopped by its budget" not in lowered.stdout and rounds_there(place) == ["d_0", "d_1"]
    assert not re.search(r" generate_\w+: done", lowered.stdout + lowered.stderr)


@pytest.mark.slow
def test_the_budget_of_one_run_stops_no_other_and_reproduction_makes_the_rounds_that_there_were(workplace):
    place = workplace()
    place.configure({"a": run(SCARCE), "b": run(select={**FAKE["select"], "share": 0.4})})
    done = place.snakemake()
    assert "a: Stopped by its budget" in done.stdout and "b: Stopped" not in done.stdout
    assert rounds_there(place) == ["d_0"] and "d_1" in rounds_there(place, "b")
    assert (place.folder / "results/comparisons/config.html").is_file()
    alone = place.snakemake("reproduce", "--config", f"manifest={place.folder}/results/a/manifest.json")
    assert "a: identical:" in alone.stdout


@pytest.mark.slow
def test_each_run_of_a_study_has_the_budget_of_its_base(workplace):
    place = workplace()
    place.configure({"mine": run(SCARCE, health={"measures": []})})
    (place.folder / "seeds.yaml").write_text("vary: {seed: [0, 1]}\n")
    done = place.snakemake("study", "--config", "study=seeds.yaml")
    for name in ("seeds-0", "seeds-1"):
        assert f"{name}: Stopped by its budget after 1 of 2 rounds, with iter_1: " in done.stdout
        assert rounds_there(place, name) == ["d_0"] and not decision(place, 1, name)["goes_on"]
    assert "seeds-0" in (place.folder / "results/studies/seeds.csv").read_text()
    place.configure({"mine": run(AMPLE, health={"measures": []})})
    place.snakemake("study", "--config", "study=seeds.yaml")
    assert rounds_there(place, "seeds-1") == ["d_0", "d_1"]
