"""All row stages that recipes add, in one run: killed, shared among jobs and made again, it has the same bytes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from workplace import Workplace

STAGES = ("classify_prompts", "cluster_outputs", "order_data", "pair_answers")
SHARDS = {"classify_prompts": 2, "assess_outputs": 2, "pair_answers": 3}
RUN = {
    "preset": "fake",
    "recipe": "salmon",
    "rounds": 1,
    "engine": {"context_length": 4096},
    "prompts": {"rows": 10, "shots": 3, "tasks_per_request": 5, "sampling": {"max_tokens": 300}},
    "classify": {"examples": "config/prompts/classification.jsonl"},
    "outputs": {"sampling": {"max_tokens": 80}},
    "cluster": {"count": 3},
    "assess": {"model": "judge", "assessors": [{"kind": "perplexity", "name": "hard", "of": "answer"}]},
    "order": {"by": "hard"},
    "pairs": {"judge": "judge", "floor": 2, "discrimination": {"pairs": 6}},
    "train": {"order": "file", "heldout_share": 0.3},
    "evaluation": {
        "benchmarks": {"heldout": None, "constraints": None},
        "judge": {"kind": "model", "model": {"chat": True}},
    },
    "health": {"measures": ["lengths"]},
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Workplace:
    place = Workplace(tmp_path_factory.mktemp("undisturbed"))
    place.configure({"a": RUN})
    place.snakemake()
    return place


def test_every_stage_is_in_the_run_and_knows_its_rows(undisturbed):
    records = undisturbed.folder / "results/a/d_0/records"
    assert all((records / f"{stage}.json").is_file() for stage in STAGES)
    rows = [json.loads(line) for line in (undisturbed.folder / "results/a/d_0/pairs.jsonl").read_text().splitlines()]
    assert rows and all({"is_classification", "cluster", "hard", "principle"} <= set(row) for row in rows)
    ordered = (undisturbed.folder / "results/a/d_0/ordered.jsonl").read_text().splitlines()
    hard = [json.loads(line)["hard"] for line in ordered]
    assert len(hard) > 8 and hard == sorted(hard)


def test_another_model_judges_where_the_settings_say_so(undisturbed):
    results = undisturbed.folder / "results/a"
    judge, base = (
        json.loads((results / f"iter_0/{name}.json").read_text())["sha256"] for name in ("evaluation/judge", "identity")
    )
    asked = {
        stage: json.loads((results / f"d_0/records/{stage}.json").read_text())["made"]["model"]
        for stage in ("generate_outputs", "assess_outputs", "pair_answers")
    }
    assert judge != base and asked == {"generate_outputs": base, "assess_outputs": judge, "pair_answers": judge}


def test_engines_that_die_and_shared_work_change_no_byte(undisturbed, tmp_path):
    place = Workplace(tmp_path)
    dying = {**RUN, "engine": {**RUN["engine"], "misbehave": {"crash_after": 7}}}
    place.configure({"a": dying}, shards=SHARDS)
    done = place.snakemake("--retries", "30")
    assert "already done" in done.stderr
    assert place.hashes() == undisturbed.hashes()
    markers = {path.parent.name for path in Path(tmp_path, "results").rglob("shard-2-of-2.done")}
    assert markers | {"pair_answers"} == set(SHARDS) and len(markers) == 2


def test_the_run_is_verified_and_made_again_from_its_manifest(undisturbed, tmp_path):
    assert "verified:" in undisturbed.snakemake("verify").stdout
    place = Workplace(tmp_path)
    manifest = undisturbed.folder / "results/a/manifest.json"
    command = place.command("reproduce", "--config", f"manifest={manifest}")[:-2]  # no config file
    done = subprocess.run(command, cwd=place.folder, text=True, capture_output=True, timeout=600)
    assert done.returncode == 0 and "a: identical:" in done.stdout, done.stdout + done.stderr
