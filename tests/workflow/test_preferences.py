"""The recipes that train on pairs, two rounds each through the real Snakefile on the fake engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from workplace import Workplace

SMALL = {
    "preset": "fake",
    "rounds": 2,
    "outputs": {"sampling": {"max_tokens": 80}},
    "pairs": {"floor": 2},
    "train": {"heldout_share": 0.3},
    "evaluation": {"benchmarks": {"heldout": None, "constraints": None}},
    "health": {"measures": ["lengths", "duplicates"]},
}
WRITTEN = {"rows": 10, "shots": 3, "tasks_per_request": 5, "sampling": {"max_tokens": 300}}
JUDGED = {**SMALL["pairs"], "discrimination": {"pairs": 6}}
RUNS = {
    "rewarding": {
        **SMALL,
        "recipe": "self_rewarding",
        "prompts": WRITTEN,
        "outputs": {"sampling": {"max_tokens": 80}, "samples": 3},
        "assess": {"discrimination": {"pairs": 4}},
    },
    # Another seed: else it would share the prompts of d_0 with the run before.
    "salmon": {**SMALL, "seed": 1, "recipe": "salmon", "prompts": WRITTEN, "pairs": JUDGED},
    "spin": {**SMALL, "recipe": "spin", "prompts": {"rows": 8}},
}
ROUNDS = range(2)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Workplace:
    """All three recipes, run and published."""
    place = Workplace(tmp_path_factory.mktemp("preferences"))
    place.configure(RUNS)
    place.snakemake()
    place.snakemake("publish")
    return place


def rows(place: Workplace, run: str, i: int, name: str) -> list[dict]:
    return [json.loads(line) for line in (place.folder / f"results/{run}/d_{i}/{name}").read_text().splitlines()]


def document(place: Workplace, path: str) -> dict:
    return json.loads((place.folder / "results" / path).read_text())


@pytest.mark.parametrize("run", RUNS)
def test_every_recipe_makes_pairs_of_two_answers_and_trains_on_them(place, run):
    for i in ROUNDS:
        answers = {row["id"]: row for row in rows(place, run, i, "outputs.jsonl")}
        pairs, gone = rows(place, run, i, "pairs.jsonl"), rows(place, run, i, "pairs.rejected.jsonl")
        assert pairs and len({row["id"] for row in pairs + gone}) == len(pairs + gone)
        for row in pairs:
            assert row["chosen"] == row["output"] != row["rejected"]
            assert row["rejected"] == answers[row["rejected_id"]]["output"]
            assert answers[row["rejected_id"]]["instruction"] == row["instruction"]
        funnel = document(place, f"{run}/d_{i}/pairs.funnel.json")
        assert funnel["rows_in"] == len(pairs) + len(gone) and funnel["rows_out"] == len(pairs)
        record = document(place, f"{run}/iter_{i + 1}/records/train_adapter.json")["made"]
        assert f"results/{run}/d_{i}/pairs.jsonl" in record["inputs"]
        training = document(place, f"{run}/iter_{i + 1}/training.json")
        assert training["rows"] + training["heldout_rows"] == len(pairs)
        assert training["preferences"]["pairs"] == training["heldout_rows"] > 0


def test_self_rewarding_chooses_by_scores_of_the_model_that_wrote(place):
    for i in ROUNDS:
        scored = {row["id"]: row["quality"] for row in rows(place, "rewarding", i, "evaluated.jsonl")}
        of_prompt: dict[str, list[float]] = {}
        for row in rows(place, "rewarding", i, "evaluated.jsonl"):
            of_prompt.setdefault(row["prompt_id"], []).append(row["quality"])
        for row in rows(place, "rewarding", i, "pairs.jsonl"):
            assert scored[row["chosen_id"]] == max(of_prompt[row["prompt_id"]])
            assert scored[row["rejected_id"]] == min(of_prompt[row["prompt_id"]])
            assert row["margin"] == pytest.approx(scored[row["chosen_id"]] - scored[row["rejected_id"]], rel=1e-5)
    judged = document(place, "rewarding/d_1/records/assess_outputs.json")["made"]["model"]
    assert judged == document(place, "rewarding/iter_1/identity.json")["sha256"]
    tokens = document(place, "rewarding/d_0/records/pair_answers.json")["made"]["tokens"]
    assert sum(tokens.values()) == 0, "no judge is asked"


def test_salmon_asks_the_model_that_answered_and_drops_what_the_orders_disagree_on(place):
    made = document(place, "salmon/d_1/records/pair_answers.json")["made"]
    assert made["model"] == document(place, "salmon/iter_1/identity.json")["sha256"]
    assert "config/principles/preferences.yaml" in made["inputs"] and made["tokens"]["scored"] > 0
    for i in ROUNDS:
        assert not (place.folder / f"results/salmon/d_{i}/evaluated.jsonl").exists()
        assert len(rows(place, "salmon", i, "outputs.jsonl")) == 2 * len(rows(place, "salmon", i, "prompts.jsonl"))
        assert all(row["principle"] and row["margin"] > 0 for row in rows(place, "salmon", i, "pairs.jsonl"))
        check = document(place, f"salmon/d_{i}/pairs.discrimination.json")["principles"]
        assert 0 < check["n"] <= 6 and check["low"] <= check["auc"] <= check["high"]
    every = [row for i in ROUNDS for row in rows(place, "salmon", i, "pairs.jsonl")]
    assert {row["chosen_id"].endswith("/s1") for row in every} == {True, False}
    assert {row["negated"] for row in every} == {True, False}
    gone = [row["rule"] for i in ROUNDS for row in rows(place, "salmon", i, "pairs.rejected.jsonl")]
    assert "inconsistent" in gone
    start = document(place, "salmon/iter_2/records/train_adapter.json")["made"]["model"]
    assert start == document(place, "salmon/iter_1/identity.json")["sha256"], "a new adapter on what was merged"


def test_spin_prefers_the_seeds_answers_in_every_round(place):
    seeds = {}
    for line in (place.folder / "config/seeds/isheep.jsonl").read_text().splitlines():
        seed = json.loads(line)
        seeds[seed["id"]] = seed
    for i in ROUNDS:
        assert [row["seeds"][0] for row in rows(place, "spin", i, "prompts.jsonl")] == list(seeds)[:8]
        for row in rows(place, "spin", i, "pairs.jsonl"):
            assert row["chosen_id"] == row["seeds"][0] and row["chosen"] == seeds[row["chosen_id"]]["output"]
    assert not document(place, "spin/d_0/pairs.discrimination.json")


def test_summary_report_and_cards_know_the_pairs(place):
    summary = (place.folder / "results/salmon/summary.txt").read_text()
    assert "pairs" in summary and "principles" in summary and "Held-out pairs" in summary
    assert "inconsistent" in summary
    page = (place.folder / "results/salmon/report.html").read_text()
    assert "pair_answers" in page and "Held-out pairs" in page
    card = (place.folder / "results/salmon/published/d_0/README.md").read_text()
    assert "- preference" in card and "| principles |" in card and "`rejected`" in card
    assert "accuracy" in (place.folder / "results/salmon/published/iter_1/README.md").read_text()
    assert "verified:" in place.snakemake("verify").stdout


@pytest.mark.parametrize("run", RUNS)
def test_pairs_are_published_as_libraries_read_them(place, run, tmp_path):
    datasets = pytest.importorskip("datasets")
    folder = place.folder / f"results/{run}/published/d_0"
    splits = datasets.load_dataset(str(folder), cache_dir=str(tmp_path))
    pairs = {row["id"]: row for row in rows(place, run, 0, "pairs.jsonl")}
    published = [row for split in splits.values() for row in split]
    assert len(published) == len(pairs)
    for row in published:
        assert [turn["role"] for turn in row["prompt"]] == ["user"]
        for side in ("chosen", "rejected"):
            assert row[side] == [{"role": "assistant", "content": pairs[row["id"]][side]}]
    plain = datasets.load_dataset(str(folder), "preference_text", cache_dir=str(tmp_path))
    assert {row["chosen"] for split in plain.values() for row in split} == {row["chosen"] for row in pairs.values()}


def test_shards_give_the_same_bytes(place, tmp_path):
    other = Workplace(tmp_path)
    shards = {"generate_prompts": 2, "generate_outputs": 3, "pair_answers": 2}
    other.configure({name: {**RUNS[name], "rounds": 1} for name in ("salmon", "spin")}, shards=shards)
    other.snakemake(*(f"results/{run}/d_0/pairs.jsonl" for run in ("salmon", "spin")))
    made = other.hashes("results/*/d_0/**/*")
    assert "results/salmon/d_0/pairs.discrimination.json" in made
    assert made == {path: sha256 for path, sha256 in place.hashes("results/*/d_0/**/*").items() if path in made}
    markers = sorted(path.name for path in Path(tmp_path, "results").rglob("pair_answers/shard-*.done"))
    assert markers == ["shard-1-of-2.done", "shard-2-of-2.done"], "a judge's work is shared; spin asks none"


CONTRADICTIONS = {
    "a": ({"train": {"objective": "dpo"}}, "train.objective dpo trains on pairs: set pairs.kind"),
    "b": ({"recipe": "salmon", "train": {"objective": "sft"}}, "pairs.kind principles makes pairs, which only"),
    "c": ({"recipe": "salmon", "outputs": {"samples": 1}}, "set outputs.samples to at least 2 (is 1)"),
    "d": ({"recipe": "salmon", "outputs": {"sampling": {"temperature": 0}}}, "raise the temperature"),
    "e": ({"recipe": "salmon", "pairs": {"principles": "none.yaml"}}, "none.yaml: No such file"),
    "f": ({"recipe": "self_rewarding", "pairs": {"column": "charm"}}, "adds the column 'charm'"),
    "g": ({"recipe": "spin", "prompts": {"kind": "numbered"}}, "set prompts.kind: seeds"),
}


def test_contradictions_are_refused_before_anything_runs(tmp_path):
    place = Workplace(tmp_path)
    place.configure({run: {"preset": "fake", **settings} for run, (settings, _) in CONTRADICTIONS.items()})
    done = place.snakemake("-n", check=False)
    told = done.stdout + done.stderr
    assert done.returncode and "Traceback" not in told and not (tmp_path / "results").exists()
    lines = [line for line in told.splitlines() if "runs." in line]
    for run, (_, message) in CONTRADICTIONS.items():
        assert any(f"runs.{run}" in line and message in line for line in lines), (run, message, told)
