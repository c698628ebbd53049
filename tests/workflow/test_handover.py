"""Hand-over of a whole run: it comes out again, others can use it, and nobody learns who made it where."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile

import pytest
from proven import MACHINE, PERSON, SECRET, Changed, flip, manifest, results
from workplace import REPOSITORY

from isheep.config import load
from isheep.config.publish import Publish
from isheep.errors import UserError
from isheep.proof.archive import pack
from isheep.proof.handover import publish_data
from isheep.proof.results import Results, read_sealed
from isheep.proof.verify import verify

# Reproduction --------------------------------------------------------------------------------------------------------


def test_a_run_comes_out_again_from_its_manifest_with_equal_hashes(proven, reproduced):
    compared = json.loads((reproduced / "comparison.json").read_text())
    assert compared["outcome"] == "identical"
    assert {one["verdict"] for one in compared["artifacts"]} == {"identical"}
    again = read_sealed(reproduced / "results/a/manifest.json")["made"]["artifacts"]
    assert again == manifest(proven)["made"]["artifacts"]


def test_reproduce_without_a_manifest_says_what_to_type(proven):
    done = proven.snakemake("reproduce", check=False)
    assert done.returncode == 1
    assert "--config manifest=FILE" in done.stdout + done.stderr


# Hand-over -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "columns"), [("messages", {"messages"}), ("alpaca", {"instruction", "input", "output"})]
)
def test_published_data_loads_with_the_split_of_the_training(proven, tmp_path, form, columns):
    from datasets import load_dataset

    report = json.loads((proven.folder / "results/a/iter_1/training.json").read_text())
    loaded = load_dataset(str(proven.folder / "results/a/published/d_0"), form, cache_dir=str(tmp_path))
    assert {name: len(rows) for name, rows in loaded.items()} == {
        "train": report["rows"],
        "heldout": report["heldout_rows"],
    }
    assert set(loaded["train"].column_names) == {"id", *columns, "quality", "following", "pmi"}
    lines = (proven.folder / f"results/a/published/d_0/jsonl/{form}/train.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == list(loaded["train"])


def test_cards_tell_what_the_records_say(proven):
    data = (proven.folder / "results/a/published/d_1/README.md").read_text()
    model = (proven.folder / "results/a/published/iter_2/README.md").read_text()
    made = manifest(proven)
    for card in (data, model):
        assert made["sha256"] in card and made["made"]["models"]["iter_1" if card is data else "iter_2"] in card
        assert "CC-BY-4.0" in card and "not stated" in card
        assert "{{" not in card and "None" not in card
    assert "| 30 | 30 |" in data and "pmi\\_too\\_low" in data
    scores = json.loads((proven.folder / "results/a/iter_2/evaluation/scores.json").read_text())["benchmarks"]
    bits = scores["heldout"]["metrics"]["heldout_bits_per_byte"]
    assert f"| {bits['value']:.3g} | {bits['low']:.3g} to {bits['high']:.3g} | empty 8," in model
    assert "Left out: questions: its numbers do not count; its judge: cannot tell" in model
    health = json.loads((proven.folder / "results/a/d_1/health.json").read_text())
    assert f"| perplexity under the base model | {health['perplexity']['value']:.3g} | 15 |" in data


def test_a_card_can_go_without_the_manifest_and_all_that_it_holds(proven, tmp_path):
    run = load({"runs": {"a": {**proven.settings, "publish": {"manifest": False}}}}, REPOSITORY).runs["a"]
    files = (proven.folder / f"results/a/{name}" for name in ("d_0/selected.jsonl", "iter_1/adapter"))
    template = REPOSITORY / "config/publish/dataset_card.md.jinja"
    publish_data(results(proven), run, 0, *files, None, template, tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    assert not (tmp_path / "out/manifest.json").exists() and "questions.jsonl" not in card.partition("## Provenance")[2]
    assert f"is not published; the sha256 of its hashed part is `{manifest(proven)['sha256']}`" in card
    assert "questions.jsonl" in (proven.folder / "results/a/published/d_0/README.md").read_text()


def test_the_archive_verifies_after_unpacking_elsewhere(proven, tmp_path):
    with tarfile.open(proven.folder / "results/a.tar.gz") as packed:
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


def test_a_run_that_shares_artifacts_is_packed_whole(proven, tmp_path):
    with tarfile.open(proven.folder / "results/b.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    found, stages = verify(Results(tmp_path / "b/results/b"), threads=2)
    assert found.ok and stages["d_0/generate_prompts"]["record"] == "results/a/d_0/records/generate_prompts.json"
    flip(tmp_path / "b/results/a/d_0/outputs.jsonl")
    (finding,) = verify(Results(tmp_path / "b/results/b"), threads=2)[0].findings
    assert finding.artifact == "results/a/d_0/outputs.jsonl" and "results/b/iter_1/model" in finding.downstream


def test_an_archive_without_merged_models_tells_what_was_not_checked(proven, tmp_path):
    pack(results(proven), tmp_path / "small.tar.gz", Publish(archive_models=False), None, threads=2)
    with tarfile.open(tmp_path / "small.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    found, _ = verify(Results(tmp_path / "a/results/a"), threads=2)
    assert found.ok
    left_out = ["config.yaml", "iter_1/model", "iter_2/model"]
    assert found.notes == [f"results/a/{path} was left out of the archive and is not checked" for path in left_out]
    shutil.rmtree(tmp_path / "a/results/a/iter_1/adapter")
    assert not verify(Results(tmp_path / "a/results/a"), threads=2)[0].ok


def test_a_damaged_run_is_not_packed(proven, tmp_path):
    with Changed(proven.folder / "results/a/d_0/selected.jsonl") as file:
        flip(file)
        with pytest.raises(UserError, match="what is to be packed does not verify"):
            pack(results(proven), tmp_path / "a.tar.gz", Publish(), None, threads=2)
    assert not (tmp_path / "a.tar.gz").exists()


def test_nothing_that_is_handed_over_tells_who_or_where(proven, tmp_path):
    with tarfile.open(proven.folder / "results/a.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    handed = [
        *tmp_path.rglob("*"),
        *(proven.folder / "results/a").rglob("*.json"),
        *(proven.folder / "results/a/published").rglob("*"),
    ]
    files = [file for file in handed if file.is_file() and file.name != "config.yaml"]
    assert len(files) > 80
    private = [PERSON, SECRET, str(proven.folder), MACHINE, str(REPOSITORY)]
    for file in files:
        data = file.read_bytes()
        assert not [word for word in private if word.encode() in data], file
    assert PERSON in (proven.folder / "results/a/config.yaml").read_text()  # it was there to be told
    assert "outside/" in json.dumps(manifest(proven)["made"]["settings"]["seeds"])
