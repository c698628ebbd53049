"""The house takes what is new in one module, and stands inside another workflow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from workplace import FAKE, REPOSITORY, Workplace

STAGE = '''"""Stage shout_outputs: every answer in capitals, beside the answer."""

from isheep.data.funnel import Funnel
from isheep.data.rows import read_rows
from isheep.stages.base import Stage

STAGE = Stage(
    "shout_outputs",
    about="writes every answer in capitals",
    place=35,
    folder="d_{i}",
    makes=("shouted.jsonl", "shouted.funnel.json"),
    settings=("seed",),
    reads=lambda at: {"rows": at.rows_before("shout_outputs")},
    needs=lambda run: ("output",),
    adds=lambda run: ("shout",),
)


def make(this):
    """Return the rows with their answers in capitals."""
    funnel = Funnel("shout_outputs", this.round)
    rows = []
    for row in read_rows(this.input.rows):
        funnel.count(None)
        rows.append({**row, "shout": row["output"].upper()})
    return {"funnel": funnel, "rows": rows}
'''
ASSESSOR = '''"""An assessor that counts words."""

from typing import Literal

from isheep.assess.base import Assessor


class Wordy(Assessor):
    """The number of words of an answer."""

    kind: Literal["wordy"] = "wordy"
    name: str = "wordy"

    def columns_of(self, row, result):
        """Return the count."""
        return {self.name: float(len(row["output"].split()))}
'''
FILTER = '''"""A rule of our own."""

from isheep.filters.registry import output_rule


@output_rule("odd_length", sets=())
def odd_length(row) -> bool:
    """Drop answers with an odd number of characters."""
    return len(row["output"]) % 2 == 1
'''
SCRIPT = """from isheep.runner import stage
from isheep.stages import shout_outputs

stage.run(snakemake, shout_outputs)
"""
RULE = """
rule shout_outputs:
    input:
        rows=reads("shout_outputs", "rows"),
    output:
        rows="results/{run}/d_{i}/shouted.jsonl",
        funnel="results/{run}/d_{i}/shouted.funnel.json",
        record="results/{run}/d_{i}/records/shout_outputs.json",
    log:
        "logs/{run}/d_{i}/shout_outputs.log",
    params:
        **decides("shout_outputs"),
    script:
        "../scripts/shout_outputs.py"
"""
RUN = {**FAKE, "rounds": 1}


def rows(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def snakemake(folder: Path, snakefile: Path, *arguments: str) -> str:
    profile = REPOSITORY / "profiles" / "default"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--profile", str(profile), "--cores"]
    # A PYTHONPATH that names another checkout must not decide which code the jobs run.
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts")}
    done = subprocess.run(
        [*command, "2", *arguments], cwd=folder, env=environment, text=True, capture_output=True, timeout=1800
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path):
    """A checkout of the workflow's own files, to be changed."""
    folder = tmp_path / "checkout"
    for part in ("scripts", "rules", "config"):
        shutil.copytree(REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "Snakefile", folder)
    return folder


def test_a_stage_an_assessor_and_a_rule_are_one_module_each_and_every_table_knows_them(checkout, tmp_path):
    (checkout / "scripts/isheep/assess/kinds/wordy.py").write_text(ASSESSOR)
    (checkout / "scripts/isheep/filters/own_rules.py").write_text(FILTER)
    (checkout / "scripts/isheep/stages/shout_outputs.py").write_text(STAGE)
    (checkout / "scripts/shout_outputs.py").write_text(SCRIPT)
    (checkout / "rules/shout.smk").write_text(RULE)
    with open(checkout / "Snakefile", "a") as handle:
        handle.write('\n\ninclude: "rules/shout.smk"\n')
    place = tmp_path / "place"
    place.mkdir()
    new = {
        "outputs": {**RUN["outputs"], "rules": ["default", "odd_length"]},
        "assess": {"assessors": [{"kind": "wordy"}]},
        "select": {"kind": "top_k", "column": "wordy", "k": 6, "floor": 2},
    }
    (place / "config.yaml").write_text(yaml.safe_dump({"runs": {"a": {**RUN, **new}}}))
    snakemake(place, checkout / "Snakefile", "--configfile", "config.yaml")

    data = place / "results/a/d_0"
    shouted = rows(data, "shouted.jsonl")
    assert shouted and all(row["shout"] == row["output"].upper() for row in shouted)
    selected = rows(data, "selected.jsonl")
    assert selected and all(row["shout"] for row in selected), "what follows reads the new stage's rows"
    assert all(row["wordy"] == len(row["output"].split()) and len(row["output"]) % 2 == 0 for row in selected)
    assert any(row["rule"] == "odd_length" for row in rows(data, "filtered.rejected.jsonl"))
    read = json.loads((data / "records/assess_outputs.json").read_text())["made"]["inputs"]
    assert "results/a/d_0/shouted.jsonl" in read and "results/a/d_0/filtered.jsonl" not in read
    assert "shouted" in (place / "results/a/summary.txt").read_text()
    assert "shout_outputs" in (place / "results/a/report.html").read_text()
    manifest = json.loads((place / "results/a/manifest.json").read_text())["made"]
    assert manifest["artifacts"]["results/a/d_0/shouted.jsonl"]["made_by"] == "d_0/shout_outputs"
    assert "verified:" in snakemake(place, checkout / "Snakefile", "verify", "--configfile", "config.yaml")


def test_a_recipe_without_filters_assessors_and_selection_has_no_such_stages(tmp_path):
    place = Workplace(tmp_path)
    bare = {"outputs": {"rules": ["none"], "sampling": {"max_tokens": 120}}, "select": {"kind": "none"}}
    place.configure({"a": {**RUN, **bare, "assess": {"assessors": []}}})
    place.snakemake()
    made = {file.name for file in (tmp_path / "results/a/d_0").iterdir()}
    assert not made & {"filtered.jsonl", "evaluated.jsonl", "selected.jsonl"} and "outputs.jsonl" in made
    record = json.loads((tmp_path / "results/a/iter_1/records/train_adapter.json").read_text())["made"]
    assert "results/a/d_0/outputs.jsonl" in record["inputs"]
    assert "outputs" in (tmp_path / "results/a/summary.txt").read_text()


IMPORTER = """
configfile: "study.yaml"


module isheep:
    snakefile:
        "{snakefile}"
    config:
        config["alignment"]
    prefix:
        "ours"


use rule * from isheep as isheep_*


rule study:
    default_target: True
    input:
        "ours/results/a/report.html",
        "ours/results/a/manifest.json",
    output:
        "study.txt",
    shell:
        "cp ours/results/a/summary.txt {{output}}"
"""


def test_another_workflow_imports_it_with_a_prefix_renamed_rules_and_a_read_only_checkout(checkout, tmp_path):
    place = tmp_path / "study"
    place.mkdir()
    (place / "Snakefile").write_text(IMPORTER.format(snakefile=checkout / "Snakefile"))
    seeds = [{"instruction": f"Name {thing}.", "output": thing} for thing in ("a tree", "a sea", "a hill", "a star")]
    (place / "seeds.jsonl").write_text("".join(json.dumps(seed) + "\n" for seed in seeds))
    run = {**RUN, "seeds": {"path": "seeds.jsonl"}}
    (place / "study.yaml").write_text(yaml.safe_dump({"alignment": {"runs": {"a": run}}}))
    for path in [checkout, *checkout.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        snakemake(place, place / "Snakefile")
        assert "Nothing to be done" in snakemake(place, place / "Snakefile")
    finally:
        for path in [checkout, *checkout.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert (place / "study.txt").read_text().startswith("Run a")
    assert not (place / "results").exists()
    record = json.loads((place / "ours/results/a/d_0/records/generate_prompts.json").read_text())["made"]
    assert set(record["outputs"]) == {
        f"results/a/d_0/prompts{end}" for end in (".jsonl", ".rejected.jsonl", ".funnel.json")
    }
    assert record["stage"] == "generate_prompts" and "config/prompts/meta.txt" in record["inputs"]
