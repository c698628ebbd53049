"""Proof of a whole run: what made it is told, and what is changed, lost or stale is found."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from copy import deepcopy
from pathlib import Path

import pytest
from proven import Changed, findings, flip, manifest, results
from workplace import FAKE, REPOSITORY

from isheep.proof.results import Results, read_sealed
from isheep.proof.verify import verify

# Records and manifest ------------------------------------------------------------------------------------------------


def test_every_file_of_the_run_is_vouched_for(proven):
    folder = proven.folder / "results/a"
    vouched = {"manifest.json", *manifest(proven)["observed"]["exports"]}
    for record in results(proven).records_here():
        made = read_sealed(record)["made"]
        vouched.add(record.relative_to(folder).as_posix())
        for path in made["outputs"]:
            inside = [f"{path}/{name}" for name in made["contents"][path]] if path in made["contents"] else [path]
            vouched.update(name.removeprefix("results/a/") for name in inside)
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert {file for file in there if not re.search(r"(^|/)\.", file)} - {"verification.json"} == vouched


def test_a_record_tells_what_made_its_artifacts(proven):
    record = read_sealed(proven.folder / "results/a/d_1/records/generate_outputs.json")
    made, observed = record["made"], record["observed"]
    model = json.loads((proven.folder / "results/a/iter_1/identity.json").read_text())
    rows = [json.loads(line) for line in (proven.folder / "results/a/d_1/outputs.jsonl").read_text().splitlines()]
    assert made["model"] == model["sha256"] == manifest(proven)["made"]["models"]["iter_1"]
    assert made["tokens"]["completion"] == sum(row["output_tokens"] for row in rows)
    assert made["tokens"]["prompt"] == sum(row["prompt_tokens"] for row in rows)
    assert made["settings"]["outputs"]["sampling"]["max_tokens"] == FAKE["outputs"]["sampling"]["max_tokens"]
    assert observed["hardware"]["machine"] == platform.machine() and observed["seconds"] >= 0 and observed["started"]


def test_the_manifest_is_a_graph_of_all_stages(proven):
    made = manifest(proven)["made"]
    rounds = ["generate_prompts", "generate_outputs", "filter_outputs", "assess_outputs", "select_data"]
    rounds += ["probe_data", "measure_data"]
    measuring = ["evaluate_model", "judge_answers", "score_model"]
    assert list(made["stages"]) == [
        "iter_0/identify_model",
        *(f"iter_0/evaluation/{stage}" for stage in [measuring[0], "calibrate_judge", *measuring[1:]]),
        *(f"d_0/{stage}" for stage in rounds),
        *("iter_1/train_adapter", "iter_1/merge_model"),
        *(f"iter_1/evaluation/{stage}" for stage in measuring),
        *(f"d_1/{stage}" for stage in rounds),
        *("iter_2/train_adapter", "iter_2/merge_model"),
        *(f"iter_2/evaluation/{stage}" for stage in measuring),
        "summarise_run",
    ]
    readers = {"d_0/probe_data", "d_0/measure_data", "iter_1/train_adapter", "iter_1/merge_model"}
    assert readers <= set(made["artifacts"]["results/a/d_0/selected.jsonl"]["used_by"])


def test_the_crate_is_read_by_its_library_and_names_every_artifact(proven):
    from rocrate.rocrate import ROCrate

    crate = ROCrate(str(proven.folder / "results/a"))
    actions = [entity for entity in crate.get_entities() if entity.type == "CreateAction"]
    assert len(actions) == len(manifest(proven)["made"]["stages"])
    hashes = {entity.get("sha256") for entity in crate.get_entities()}
    assert {one["sha256"] for one in manifest(proven)["made"]["artifacts"].values()} <= hashes
    # What the profile asks for: the version of RO-Crate that it builds on, itself, and a licence.
    assert crate.metadata["conformsTo"] == "https://w3id.org/ro/crate/1.1"
    assert "Profile" in crate.root_dataset["conformsTo"].type
    assert crate.root_dataset["license"]["name"] == "base model: not stated; seed tasks: CC-BY-4.0"


def test_equal_runs_have_equal_records_and_manifests(proven, reproduced):
    again = Results(reproduced / "results/a").manifest
    places = [stage["record"] for stage in again["made"]["stages"].values()]
    hashes = [
        {place: read_sealed(folder / place)["sha256"] for place in places} for folder in (proven.folder, reproduced)
    ]
    assert hashes[0] == hashes[1] and len(places) == len(manifest(proven)["made"]["stages"])
    assert manifest(proven)["sha256"] == again["sha256"]


# Verification --------------------------------------------------------------------------------------------------------


def test_verify_finds_nothing_wrong_and_makes_nothing_again(proven):
    done = proven.snakemake("verify")
    assert re.search(r"^a: verified: \d+ artifacts", done.stdout, flags=re.MULTILINE)
    assert json.loads((proven.folder / "results/a/verification.json").read_text())["ok"] is True
    assert " 1 job to do" in done.stderr
    after = proven.snakemake()
    assert "Nothing to be done" in after.stdout + after.stderr


def test_a_flipped_byte_is_found_in_every_file(proven):
    files = [file for file in (proven.folder / "results/a").rglob("*") if file.is_file()]
    for file in files:
        inside = file.relative_to(proven.folder)
        if any(part.startswith(".") for part in inside.parts) or file.name == "verification.json":
            continue
        with Changed(file) as changed:
            flip(changed, position=0.6)
            found = findings(proven)
            named = [finding for finding in found if inside.as_posix().startswith(finding.artifact)]
            assert named, f"{inside} was changed; found {found}"
    assert not findings(proven)


@pytest.mark.parametrize(
    ("file", "follows"),
    [
        ("iter_0/identity.json", "results/a/d_0/prompts.jsonl"),
        ("d_0/prompts.jsonl", "results/a/d_0/outputs.jsonl"),
        ("d_0/evaluated.funnel.json", "results/a/summary.txt"),
        ("iter_1/adapter/adapter_model.safetensors", "results/a/iter_1/model"),
        ("iter_1/training.json", "results/a/iter_1/model"),
        ("iter_1/model/config.json", "results/a/d_1/outputs.jsonl"),
        ("d_0/records/select_data.json", "results/a/manifest.json"),
        ("iter_0/evaluation/calibration.json", "results/a/iter_2/evaluation/scores.json"),
        ("iter_1/evaluation/answers.jsonl", "results/a/iter_2/evaluation/scores.json"),
        ("iter_2/evaluation/judgements.jsonl", "results/a/iter_2/evaluation/scores.json"),
        ("iter_2/evaluation/scores.json", "results/a/summary.txt"),
        ("d_0/probe.jsonl", "results/a/d_1/health.json"),
        ("manifest.json", "results/a/published/iter_1"),
    ],
)
def test_what_was_made_from_a_changed_file_is_named(proven, file, follows):
    with Changed(proven.folder / "results/a" / file) as changed:
        flip(changed)
        (finding,) = [one for one in findings(proven) if f"results/a/{file}".startswith(one.artifact)]
    assert follows in finding.downstream


def test_what_no_stage_makes_is_named_after_what_stages_made(proven):
    folder = proven.folder / "results/a"
    with Changed(folder / "report.html") as page, Changed(folder / "d_1/outputs.jsonl") as rows:
        flip(page)
        flip(rows)
        found = verify(results(proven), threads=2)[0]
    assert [one.artifact for one in found.findings] == ["results/a/d_1/outputs.jsonl", "results/a/report.html"]
    assert found.lines()[-1].endswith("first: results/a/d_1/outputs.jsonl (changed artifact)")


def test_a_flipped_byte_in_the_archive_is_found(proven):
    with Changed(proven.folder / "results/a.tar.gz") as packed:
        flip(packed)
        (finding,) = findings(proven)
        checked = subprocess.run(["sha256sum", "--check", "a.tar.gz.sha256"], cwd=packed.parent, capture_output=True)
    assert (finding.kind, finding.artifact) == ("changed_artifact", "results/a.tar.gz") and checked.returncode


def test_an_edited_row_is_named_with_everything_made_from_it(proven):
    with Changed(proven.folder / "results/a/d_0/filtered.jsonl") as file:
        lines = file.read_text().splitlines(keepends=True)
        row = json.loads(lines[4])
        lines[4] = json.dumps({**row, "output": "A better answer."}, ensure_ascii=False) + "\n"
        file.write_text("".join(lines))
        (finding,) = findings(proven)
    assert finding.kind == "changed_artifact" and finding.artifact == "results/a/d_0/filtered.jsonl"
    assert f"line 5 ({row['id']}): 'output'" in finding.message
    downstream = set(finding.downstream)
    assert {"results/a/d_0/selected.jsonl", "results/a/iter_2/model", "results/a/published/iter_2"} <= downstream
    assert not downstream & {"results/a/d_0/prompts.jsonl", "results/a/d_0/outputs.jsonl"}


def test_a_swapped_model_is_found(proven):
    with Changed(proven.folder / "results/a/iter_1/model/model.safetensors") as file:
        shutil.copy(proven.folder / "results/a/iter_2/model/model.safetensors", file)
        found = findings(proven)
    assert [finding.artifact for finding in found] == ["results/a/iter_1/model"]
    assert "results/a/d_1/prompts.jsonl" in found[0].downstream


@pytest.mark.parametrize(
    ("lost", "kind"),
    [
        ("d_0/records/select_data.json", "missing_record"),
        ("d_1/prompts.jsonl", "missing_artifact"),
        ("iter_1/adapter/adapter_config.json", "missing_artifact"),
        ("manifest.json", "missing_manifest"),
    ],
)
def test_what_is_lost_is_named(proven, lost, kind):
    with Changed(proven.folder / "results/a" / lost) as file:
        file.unlink()
        assert kind in {finding.kind for finding in findings(proven)}


def test_a_file_slipped_into_a_model_is_found(proven):
    extra = proven.folder / "results/a/iter_2/model/generation_config.json"
    extra.write_text("{}")
    try:
        (finding,) = findings(proven)
    finally:
        extra.unlink()
    assert finding.artifact == "results/a/iter_2/model" and "generation_config.json" in finding.message


def test_changed_settings_and_bytes_end_verify_with_an_error(proven):
    changed = deepcopy(proven.settings)
    changed["outputs"]["sampling"]["max_tokens"] = 100
    proven.configure({**proven.runs, "a": changed})
    try:
        with Changed(proven.folder / "results/a/d_1/evaluated.jsonl") as file:
            flip(file)
            done = proven.snakemake("verify", check=False)
    finally:
        proven.configure(proven.runs)
    assert done.returncode == 1
    found = json.loads((proven.folder / "results/a/verification.json").read_text())["findings"]
    assert {(one["kind"], one["stage"]) for one in found} == {
        ("stale_settings", "d_0/generate_outputs"),
        ("stale_settings", "d_1/generate_outputs"),
        ("changed_artifact", "d_1/assess_outputs"),
    }
    assert "outputs.sampling.max_tokens: 120, now 100" in done.stdout
    assert "first: results/a/d_0/records/generate_outputs.json (stale settings)" in done.stdout


def test_stages_of_other_code_and_other_files_are_stale(proven, tmp_path):
    for part in ("Snakefile", "rules", "scripts", "config", "profiles", "envs"):
        whole = REPOSITORY / part
        (shutil.copytree if whole.is_dir() else shutil.copy)(whole, tmp_path / part)
    with open(tmp_path / "scripts/isheep/select/rows.py", "a") as file:
        file.write("EDITED = 1\n")
    python, *rest = proven.command("verify")
    command = [python, *(one.replace(str(REPOSITORY), str(tmp_path)) for one in rest)]
    with Changed(Path(proven.settings["seeds"]["path"])) as tasks:
        tasks.write_text(tasks.read_text() + "\n")
        here = {**os.environ, "PYTHONPATH": ""}  # the copy's own code, whatever the caller's path
        done = subprocess.run(command, cwd=proven.folder, env=here, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1, done.stderr
    found = json.loads((proven.folder / "results/a/verification.json").read_text())["findings"]
    told = {(one["kind"], one["stage"]): one for one in found}
    code = told["stale_code", "d_1/select_data"]
    assert "scripts/isheep/select/rows.py" in code["message"] and "results/a/iter_2/model" in code["downstream"]
    file = told["stale_file", "d_0/generate_prompts"]
    assert file["artifact"].endswith("/tasks.jsonl") and "results/a/d_0/prompts.jsonl" in file["downstream"]
    assert ("stale_code", "d_0/generate_prompts") not in told
