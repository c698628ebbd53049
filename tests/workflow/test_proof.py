"""Proof and hand-over of a whole run: what is changed is found, the run comes out again, others can use it."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from copy import deepcopy
from pathlib import Path

import pytest
from workplace import FAKE, REPOSITORY, Workplace

from isheep.config.publish import Publish
from isheep.errors import UserError
from isheep.proof.archive import pack
from isheep.proof.results import Results, read_sealed
from isheep.proof.verify import verify

PERSON, SECRET = "zaphod-beeblebrox", "hf_" + "Q7x" * 12


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two rounds by a person with a name, a home folder and a token; the seeds lie outside the folder of the run.

    A second run shares the data of round 0 with the first, up to its selection.
    """
    home = tmp_path_factory.mktemp("home") / PERSON
    (home / "own").mkdir(parents=True)
    shutil.copy(REPOSITORY / "config/seeds/isheep.jsonl", home / "own/tasks.jsonl")
    (home / "own/README.md").write_text("My tasks.\n\nLicence: CC-BY-4.0\n")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"USER": PERSON, "LOGNAME": PERSON, "HOME": str(home), "HF_TOKEN": SECRET}.items():
            patch.setenv(name, value)
        (home / "work").mkdir()
        place = Workplace(home / "work")
        place.settings = {**deepcopy(FAKE), "seeds": {"path": str(home / "own/tasks.jsonl")}}
        other = {**place.settings, "rounds": 1, "select": {**FAKE["select"], "share": 0.3}}
        place.runs = {"a": place.settings, "b": other}
        place.configure(place.runs)
        place.snakemake()
        place.snakemake("publish", "archive")
        yield place


def results(place) -> Results:
    return Results(place.folder / "results/a")


def manifest(place) -> dict:
    return read_sealed(place.folder / "results/a/manifest.json")


def findings(place) -> list:
    return verify(results(place), threads=2)[0].findings


def flip(file: Path, position: float = 0.5) -> None:
    """Change one bit of the byte that lies at a share of a file's length; of an empty file, make a byte."""
    data = bytearray(file.read_bytes() or b" ")
    data[int(position * (len(data) - 1))] ^= 1
    file.unlink()  # published weights may be hard links
    file.write_bytes(data)


class Changed:
    """A file changed inside a `with` block, and put back after it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __enter__(self) -> Path:
        self.kept = self.file.with_name(f".{self.file.name}.kept")
        shutil.copy2(self.file, self.kept)
        return self.file

    def __exit__(self, *error: object) -> None:
        self.kept.replace(self.file)


# Records and manifest ------------------------------------------------------------------------------------------------


def test_every_file_of_the_run_is_vouched_for(finished):
    folder = finished.folder / "results/a"
    vouched = {"manifest.json", *manifest(finished)["observed"]["exports"]}
    for record in results(finished).records_here():
        made = read_sealed(record)["made"]
        vouched.add(record.relative_to(folder).as_posix())
        for path in made["outputs"]:
            inside = [f"{path}/{name}" for name in made["contents"][path]] if path in made["contents"] else [path]
            vouched.update(name.removeprefix("results/a/") for name in inside)
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert {file for file in there if not re.search(r"(^|/)\.", file)} - {"verification.json"} == vouched


def test_a_record_tells_what_made_its_artifacts(finished):
    record = read_sealed(finished.folder / "results/a/d_1/records/generate_outputs.json")
    made, observed = record["made"], record["observed"]
    model = json.loads((finished.folder / "results/a/iter_1/identity.json").read_text())
    rows = [json.loads(line) for line in (finished.folder / "results/a/d_1/outputs.jsonl").read_text().splitlines()]
    assert made["model"] == model["sha256"] == manifest(finished)["made"]["models"]["iter_1"]
    assert made["tokens"]["completion"] == sum(row["output_tokens"] for row in rows)
    assert made["tokens"]["prompt"] == sum(row["prompt_tokens"] for row in rows)
    assert made["settings"]["outputs"]["sampling"]["max_tokens"] == FAKE["outputs"]["sampling"]["max_tokens"]
    assert observed["hardware"]["machine"] == platform.machine() and observed["seconds"] >= 0 and observed["started"]


def test_the_manifest_is_a_graph_of_all_stages(finished):
    made = manifest(finished)["made"]
    rounds = ["generate_prompts", "generate_outputs", "filter_outputs", "assess_outputs", "select_data"]
    rounds += ["probe_data", "measure_data"]
    assert list(made["stages"]) == [
        "iter_0/identify_model",
        *(f"d_0/{stage}" for stage in rounds),
        *("iter_1/train_adapter", "iter_1/merge_model"),
        *(f"d_1/{stage}" for stage in rounds),
        *("iter_2/train_adapter", "iter_2/merge_model"),
        "summarise_run",
    ]
    readers = {"d_0/probe_data", "d_0/measure_data", "iter_1/train_adapter", "iter_1/merge_model"}
    assert readers <= set(made["artifacts"]["results/a/d_0/selected.jsonl"]["used_by"])


def test_the_crate_is_read_by_its_library_and_names_every_artifact(finished):
    from rocrate.rocrate import ROCrate

    crate = ROCrate(str(finished.folder / "results/a"))
    actions = [entity for entity in crate.get_entities() if entity.type == "CreateAction"]
    assert len(actions) == len(manifest(finished)["made"]["stages"])
    hashes = {entity.get("sha256") for entity in crate.get_entities()}
    assert {one["sha256"] for one in manifest(finished)["made"]["artifacts"].values()} <= hashes


def test_equal_runs_have_equal_manifests(finished, reproduced):
    assert manifest(finished)["sha256"] == read_sealed(reproduced / "results/a/manifest.json")["sha256"]


# Verification --------------------------------------------------------------------------------------------------------


def test_verify_finds_nothing_wrong_and_makes_nothing_again(finished):
    done = finished.snakemake("verify")
    assert re.search(r"^a: verified: \d+ artifacts", done.stdout, flags=re.MULTILINE)
    assert json.loads((finished.folder / "results/a/verification.json").read_text())["ok"] is True
    assert re.search(r"^total +1$", done.stderr + done.stdout, flags=re.MULTILINE)
    after = finished.snakemake()
    assert "Nothing to be done" in after.stdout + after.stderr


def test_a_flipped_byte_is_found_in_every_file(finished):
    files = [file for file in (finished.folder / "results/a").rglob("*") if file.is_file()]
    for file in files:
        inside = file.relative_to(finished.folder)
        if any(part.startswith(".") for part in inside.parts) or file.name == "verification.json":
            continue
        with Changed(file) as changed:
            flip(changed, position=0.6)
            found = findings(finished)
            named = [finding for finding in found if inside.as_posix().startswith(finding.artifact)]
            assert named, f"{inside} was changed; found {found}"
    assert not findings(finished)


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
        ("manifest.json", "results/a/published/iter_1"),
    ],
)
def test_what_was_made_from_a_changed_file_is_named(finished, file, follows):
    with Changed(finished.folder / "results/a" / file) as changed:
        flip(changed)
        (finding,) = [one for one in findings(finished) if f"results/a/{file}".startswith(one.artifact)]
    assert follows in finding.downstream


def test_a_flipped_byte_in_the_archive_is_found(finished):
    with Changed(finished.folder / "results/a.tar.gz") as packed:
        flip(packed)
        (finding,) = findings(finished)
        checked = subprocess.run(["sha256sum", "--check", "a.tar.gz.sha256"], cwd=packed.parent, capture_output=True)
    assert (finding.kind, finding.artifact) == ("changed_artifact", "results/a.tar.gz") and checked.returncode


def test_an_edited_row_is_named_with_everything_made_from_it(finished):
    with Changed(finished.folder / "results/a/d_0/filtered.jsonl") as file:
        lines = file.read_text().splitlines(keepends=True)
        row = json.loads(lines[4])
        lines[4] = json.dumps({**row, "output": "A better answer."}, ensure_ascii=False) + "\n"
        file.write_text("".join(lines))
        (finding,) = findings(finished)
    assert finding.kind == "changed_artifact" and finding.artifact == "results/a/d_0/filtered.jsonl"
    assert f"line 5 ({row['id']}): 'output'" in finding.message
    downstream = set(finding.downstream)
    assert {"results/a/d_0/selected.jsonl", "results/a/iter_2/model", "results/a/published/iter_2"} <= downstream
    assert not downstream & {"results/a/d_0/prompts.jsonl", "results/a/d_0/outputs.jsonl"}


def test_a_swapped_model_is_found(finished):
    with Changed(finished.folder / "results/a/iter_1/model/model.safetensors") as file:
        shutil.copy(finished.folder / "results/a/iter_2/model/model.safetensors", file)
        found = findings(finished)
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
def test_what_is_lost_is_named(finished, lost, kind):
    with Changed(finished.folder / "results/a" / lost) as file:
        file.unlink()
        assert kind in {finding.kind for finding in findings(finished)}


def test_a_file_slipped_into_a_model_is_found(finished):
    extra = finished.folder / "results/a/iter_2/model/generation_config.json"
    extra.write_text("{}")
    try:
        (finding,) = findings(finished)
    finally:
        extra.unlink()
    assert finding.artifact == "results/a/iter_2/model" and "generation_config.json" in finding.message


def test_changed_settings_and_bytes_end_verify_with_an_error(finished):
    changed = deepcopy(finished.settings)
    changed["outputs"]["sampling"]["max_tokens"] = 100
    finished.configure({**finished.runs, "a": changed})
    try:
        with Changed(finished.folder / "results/a/d_1/evaluated.jsonl") as file:
            flip(file)
            done = finished.snakemake("verify", check=False)
    finally:
        finished.configure(finished.runs)
    assert done.returncode == 1
    found = json.loads((finished.folder / "results/a/verification.json").read_text())["findings"]
    assert {(one["kind"], one["stage"]) for one in found} == {
        ("stale_settings", "d_0/generate_outputs"),
        ("stale_settings", "d_1/generate_outputs"),
        ("changed_artifact", "d_1/assess_outputs"),
    }
    assert "outputs.sampling.max_tokens: 120, now 100" in done.stdout
    assert "first: results/a/d_0/records/generate_outputs.json (stale settings)" in done.stdout


# Reproduction --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reproduced(finished, tmp_path_factory):
    """The run made again by somebody who has the manifest alone."""
    folder = tmp_path_factory.mktemp("elsewhere")
    alone = folder / "received.json"
    shutil.copy(finished.folder / "results/a/manifest.json", alone)
    (folder / "here").mkdir()
    place = Workplace(folder / "here")
    command = place.command("reproduce", "--config", f"manifest={alone}")[:-2]  # without its config file
    done = subprocess.run(command, cwd=place.folder, text=True, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a: identical:" in done.stdout
    return place.folder / "reproductions/a"


def test_a_run_comes_out_again_from_its_manifest_with_equal_hashes(finished, reproduced):
    compared = json.loads((reproduced / "comparison.json").read_text())
    assert compared["outcome"] == "identical"
    assert {one["verdict"] for one in compared["artifacts"]} == {"identical"}
    again = read_sealed(reproduced / "results/a/manifest.json")["made"]["artifacts"]
    assert again == manifest(finished)["made"]["artifacts"]


def test_reproduce_without_a_manifest_says_what_to_type(finished):
    done = finished.snakemake("reproduce", check=False)
    assert done.returncode == 1
    assert "--config manifest=FILE" in done.stdout + done.stderr


# Hand-over -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "columns"), [("messages", {"messages"}), ("alpaca", {"instruction", "input", "output"})]
)
def test_published_data_loads_with_the_split_of_the_training(finished, tmp_path, form, columns):
    from datasets import load_dataset

    report = json.loads((finished.folder / "results/a/iter_1/training.json").read_text())
    loaded = load_dataset(str(finished.folder / "results/a/published/d_0"), form, cache_dir=str(tmp_path))
    assert {name: len(rows) for name, rows in loaded.items()} == {
        "train": report["rows"],
        "heldout": report["heldout_rows"],
    }
    assert set(loaded["train"].column_names) == {"id", *columns, "quality", "following", "pmi"}
    lines = (finished.folder / f"results/a/published/d_0/jsonl/{form}/train.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == list(loaded["train"])


def test_cards_tell_what_the_records_say(finished):
    data = (finished.folder / "results/a/published/d_1/README.md").read_text()
    model = (finished.folder / "results/a/published/iter_2/README.md").read_text()
    made = manifest(finished)
    for card in (data, model):
        assert made["sha256"] in card and made["made"]["models"]["iter_1" if card is data else "iter_2"] in card
        assert "CC-BY-4.0" in card and "not stated" in card
        assert "{{" not in card and "None" not in card
    assert "| 30 | 30 |" in data and "pmi\\_too\\_low" in data
    assert "Not evaluated." in model


def test_the_archive_verifies_after_unpacking_elsewhere(finished, tmp_path):
    with tarfile.open(finished.folder / "results/a.tar.gz") as packed:
        assert {(entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime) for entry in packed} == {
            (0, 0, "", "", 0)
        }
        packed.extractall(tmp_path, filter="data")
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / "a", check=True)
    (tmp_path / "a/results/a").rename(tmp_path / "a/results/renamed")
    command = [sys.executable, "-m", "isheep.proof", "verify", "renamed"]
    options = {
        "cwd": tmp_path / "a/results",
        "env": {"PYTHONPATH": str(REPOSITORY / "scripts")},
        "capture_output": True,
        "text": True,
    }
    assert subprocess.run(command, **options).returncode == 0
    flip(tmp_path / "a/results/renamed/iter_2/adapter/adapter_model.safetensors")
    done = subprocess.run(command, **options)
    assert done.returncode == 1 and "changed artifact: results/a/iter_2/adapter" in done.stdout


def test_a_run_that_shares_artifacts_is_packed_whole(finished, tmp_path):
    with tarfile.open(finished.folder / "results/b.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    found, stages = verify(Results(tmp_path / "b/results/b"), threads=2)
    assert found.ok and stages["d_0/generate_prompts"]["record"] == "results/a/d_0/records/generate_prompts.json"
    flip(tmp_path / "b/results/a/d_0/outputs.jsonl")
    (finding,) = verify(Results(tmp_path / "b/results/b"), threads=2)[0].findings
    assert finding.artifact == "results/a/d_0/outputs.jsonl" and "results/b/iter_1/model" in finding.downstream


def test_an_archive_without_merged_models_tells_what_was_not_checked(finished, tmp_path):
    pack(results(finished), tmp_path / "small.tar.gz", Publish(archive_models=False), None, threads=2)
    with tarfile.open(tmp_path / "small.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    found, _ = verify(Results(tmp_path / "a/results/a"), threads=2)
    assert found.ok
    left_out = ["config.yaml", "iter_1/model", "iter_2/model"]
    assert found.notes == [f"results/a/{path} was left out of the archive and is not checked" for path in left_out]
    shutil.rmtree(tmp_path / "a/results/a/iter_1/adapter")
    assert not verify(Results(tmp_path / "a/results/a"), threads=2)[0].ok


def test_a_damaged_run_is_not_packed(finished, tmp_path):
    with Changed(finished.folder / "results/a/d_0/selected.jsonl") as file:
        flip(file)
        with pytest.raises(UserError, match="does not verify"):
            pack(results(finished), tmp_path / "a.tar.gz", Publish(), None, threads=2)
    assert not (tmp_path / "a.tar.gz").exists()


def test_nothing_that_is_handed_over_tells_who_or_where(finished, tmp_path):
    with tarfile.open(finished.folder / "results/a.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    handed = [
        *tmp_path.rglob("*"),
        *(finished.folder / "results/a").rglob("*.json"),
        *(finished.folder / "results/a/published").rglob("*"),
    ]
    files = [file for file in handed if file.is_file() and file.name != "config.yaml"]
    assert len(files) > 80
    private = [PERSON, SECRET, str(finished.folder), str(Path.home()), platform.node(), str(REPOSITORY)]
    for file in files:
        data = file.read_bytes()
        assert not [word for word in private if word.encode() in data], file
    assert "outside/" in json.dumps(manifest(finished)["made"]["settings"]["seeds"])
