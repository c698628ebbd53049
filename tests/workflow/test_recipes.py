"""Recipes through the real Snakefile on the fake engine: absent stages absent, rows accounted for, order kept."""

from __future__ import annotations

import json

import pytest
from workplace import Workplace

BASE = {
    "preset": "fake",
    "engine": {"context_length": 4096},
    "evaluation": {"benchmarks": {"heldout": None, "constraints": None}},
    "health": {"measures": ["lengths"]},
}


def rows(place: Workplace, file: str) -> list[dict]:
    return [json.loads(line) for line in (place.folder / "results" / file).read_text().splitlines()]


def test_self_instruct_and_soft_plus_run_from_end_to_end(tmp_path):
    place = Workplace(tmp_path)
    instruct = {**BASE, "recipe": "self_instruct", "prompts": {"rows": 24, "requests_per_wave": 2}}
    soft = {**BASE, "recipe": "soft_plus", "rounds": 2, "prompts": {"rows": 12}, "outputs": {"choice": "nearest"}}
    place.configure({"instruct": instruct, "soft": soft}, shards={"classify_prompts": 2})
    place.snakemake()

    made = {file.name for file in (tmp_path / "results/instruct/d_0").iterdir()}
    assert not made & {"evaluated.jsonl", "selected.jsonl", "ordered.jsonl"}
    prompts, outputs = rows(place, "instruct/d_0/prompts.jsonl"), rows(place, "instruct/d_0/outputs.jsonl")
    assert len({row["id"] for row in outputs}) == len(outputs) > len(prompts) == 24
    own = {row["id"] for row in prompts}
    assert any(seed in own for row in prompts for seed in row["seeds"]), "later waves show the model its own prompts"
    assert not any(seed in own for row in prompts if row["request"] < 2 for seed in row["seeds"])
    kept = len(rows(place, "instruct/d_0/filtered.jsonl"))
    assert kept + len(rows(place, "instruct/d_0/filtered.rejected.jsonl")) == len(outputs)

    seeds = {seed["id"]: seed for seed in rows(place, "../config/seeds/isheep.jsonl")}
    for row in rows(place, "soft/d_0/outputs.jsonl"):
        assert len(set(row["nearest"])) == 3
        assert row["instruction"] not in [seeds[id]["instruction"] for id in row["nearest"]]
    for i in range(2):
        ordered = rows(place, f"soft/d_{i}/ordered.jsonl")
        assert [row["perplexity"] for row in ordered] == sorted(row["perplexity"] for row in ordered)
        (trained,) = (tmp_path / f"results/soft/iter_{i + 1}/.work/train_adapter").glob("*/rows.jsonl")
        assert trained.read_text() == (tmp_path / f"results/soft/d_{i}/ordered.jsonl").read_text()
    parts = [{row["request"] for row in rows(place, f"soft/d_{i}/prompts.jsonl")} for i in range(2)]
    assert parts[0] and parts[1] and not parts[0] & parts[1]


def test_dromedary_answers_by_principles_and_then_at_length_and_trains_on_neither(tmp_path):
    place = Workplace(tmp_path)
    small = {"rows": 30, "tasks_per_request": 4, "sampling": {"max_tokens": 400}, "share": 0.5}
    dromedary = {**BASE, "recipe": "dromedary", "rounds": 2, "prompts": small, "outputs": {"verbose": {}}}
    both = {**BASE, "recipe": "i_sheep_principles", "rounds": 1, "seed": 1, "prompts": {"rows": 12}}
    both |= {
        "assess": {"discrimination": {"pairs": 4}},
        "select": {"kind": "quantile", "column": "pmi", "share": 0.5, "floor": 2},
    }
    place.configure({"dromedary": dromedary, "both": both}, shards={"generate_outputs": 2, "generate_prompts": 2})
    place.snakemake()
    place.snakemake("publish")

    prompts = rows(place, "dromedary/d_0/prompts.jsonl")
    assert {bool(row["topic"]) for row in prompts} == {True, False}
    first, later = (rows(place, f"dromedary/d_{i}/filtered.jsonl") for i in (0, 1))
    assert first and all(row["thoughts"] and row["output"] and row["leaked"] is None for row in first)
    assert later and all(row["thoughts"] is None for row in later)
    gone = {row["rule"] for row in rows(place, "dromedary/d_0/filtered.rejected.jsonl")}
    assert gone & {"no_thoughts", "no_answer", "apology", "leaked_exemplar"}
    selected = rows(place, "both/d_0/selected.jsonl")
    assert selected and all(row["thoughts"] and row["quality"] for row in selected)
    for run, row in (("dromedary", first[0]), ("both", selected[0])):
        published = (tmp_path / f"results/{run}/published/d_0/jsonl").rglob("*.jsonl")
        text = "\n".join(file.read_text() for file in published)
        assert json.dumps(row["output"]) in text and json.dumps(row["thoughts"])[1:-1] not in text
    assert "verified:" in place.snakemake("verify").stdout


@pytest.mark.slow
def test_the_paper_s_run_and_the_sorted_ones_go_two_rounds(tmp_path):
    place = Workplace(tmp_path)
    small = {"rows": 30, "tasks_per_request": 5, "sampling": {"max_tokens": 400}}
    above = {"above": {"quality": 5, "following": 5}, "floor": 2}
    assess = {"discrimination": {"pairs": 4}}
    paper = {**BASE, "recipe": "i_sheep_paper", "rounds": 2, "prompts": small, "assess": assess, "select": above}
    sorted_ = {**BASE, "recipe": "i_sheep_soft_plus", "rounds": 2, "prompts": small, "assess": assess, "select": above}
    soft = {**BASE, "recipe": "soft", "rounds": 2, "prompts": {"rows": 12, "parts": 2}}
    place.configure({"paper": paper, "sorted": sorted_, "soft": soft})
    place.snakemake()

    for i in range(2):
        judged = rows(place, f"paper/d_{i}/selected.jsonl")
        assert judged and all(min(row["quality"], row["following"]) > 5 and row["quality_text"] for row in judged)
        ordered = rows(place, f"sorted/d_{i}/ordered.jsonl")
        assert [row["perplexity"] for row in ordered] == sorted(row["perplexity"] for row in ordered)
        assert all(min(row["quality"], row["following"]) > 5 for row in ordered)
        made = {file.name for file in (tmp_path / f"results/soft/d_{i}").iterdir()}
        assert rows(place, f"soft/d_{i}/filtered.jsonl") and not made & {"evaluated.jsonl", "ordered.jsonl"}
        assert (tmp_path / f"results/soft/iter_{i + 1}/training.json").is_file()
