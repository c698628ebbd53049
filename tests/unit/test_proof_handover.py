"""What is handed over: data sets in two forms, cards that say only what is known, archives, nothing private."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from two_stages import Run as Finished

from isheep.config import load
from isheep.config.publish import Publish
from isheep.config.run import Run
from isheep.errors import UserError
from isheep.proof import archive, dataset, privacy
from isheep.proof.__main__ import main
from isheep.proof.push import push
from isheep.proof.results import Results, read_sealed
from isheep.runner.record import write_record
from isheep.training.encode import split_heldout

ROOT = Path(__file__).resolve().parents[2]


def settings(**more: object) -> Run:
    run = {"engine": {"name": "fake"}, "train": {"trainer": "fake"}, **more}
    return load({"runs": {"a": run}}, ROOT).runs["a"]


def rows(count: int) -> list[dict]:
    return [
        {"id": f"r{n}", "instruction": f"Task {n}", "input": "on this" if n % 2 else "", "output": f"Answer {n}",
         "quality": 5.5, "following": None, "pmi": 0.25}
        for n in range(count)
    ]  # fmt: skip


# Archives ------------------------------------------------------------------------------------------------------------


def test_an_archive_is_refused_only_for_what_it_packs(tmp_path):
    run = Finished(tmp_path / "one")
    (run.base / "config.json").write_text("{}")
    (run.results.parent / "a.tar.gz").write_bytes(b"an old one, damaged")
    (run.results.parent / "a.tar.gz.sha256").write_text("0" * 64)
    archive.pack(Results(run.results), tmp_path / "a.tar.gz", Publish(), run.base, 1)
    assert (tmp_path / "a.tar.gz").is_file()
    with pytest.raises(UserError, match="what is to be packed does not verify; first: a: changed model"):
        archive.pack(Results(run.results), tmp_path / "b.tar.gz", Publish(archive_base=True), run.base, 1)
    (run.results / "d_0/prompts.jsonl").write_text("{}")
    with pytest.raises(UserError, match=r"first: a: changed artifact: results/a/d_0/prompts\.jsonl"):
        archive.pack(Results(run.results), tmp_path / "c.tar.gz", Publish(), run.base, 1)


# Data sets -----------------------------------------------------------------------------------------------------------


def test_the_published_split_is_the_one_of_the_training(tmp_path):
    run = settings(seed=7)
    splits, untrained = dataset.split(run, rows(30), tmp_path)
    train, heldout = split_heldout(rows(30), run.train.heldout_share, 7)
    assert (splits, untrained) == ({"train": train, "heldout": heldout}, 0)


def test_without_heldout_rows_there_is_no_such_split(tmp_path):
    splits, _ = dataset.split(settings(train={"trainer": "fake", "heldout_share": 0}), rows(5), tmp_path)
    assert list(splits) == ["train"]


def test_shards_hold_all_rows_in_order(tmp_path):
    run = settings(publish={"rows_per_shard": 4}, model={"system": "Be brief."})
    configs = dataset.write(tmp_path, {"train": rows(10)}, run)
    files = sorted((tmp_path / "data/messages").iterdir())
    assert [file.name for file in files] == [f"train-{n:05d}-of-00003.parquet" for n in range(3)]
    read = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert [row["id"] for row in read] == [f"r{n}" for n in range(10)]
    assert read[1]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Task 1\n\non this"},
        {"role": "assistant", "content": "Answer 1"},
    ]
    assert (read[0]["quality"], read[0]["following"]) == (5.5, None)
    assert [config["config_name"] for config in configs if config["default"]] == ["messages"]


def test_conversations_are_published_whole_in_every_form(tmp_path):
    history = [{"role": "user", "content": "Name a river."}, {"role": "assistant", "content": "The Ebro."}]
    given = [{**row, "chosen": row["output"], "rejected": "No."} for row in rows(2)]
    given[1]["history"] = history
    run = settings(model={"system": "Be brief."})
    dataset.write(tmp_path, {"train": given}, run)
    (file,) = (tmp_path / "data/messages").iterdir()
    turns = pq.read_table(file).to_pylist()[1]["messages"]
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user", "assistant"]
    assert turns[1:3] == history
    (file,) = (tmp_path / "data/alpaca").iterdir()
    assert [row["history"] for row in pq.read_table(file).to_pylist()] == [None, history]
    pair = dataset.shape("preference", given[1], run)
    assert pair["prompt"][1:3] == history and pair["rejected"] == [{"role": "assistant", "content": "No."}]
    assert dataset.shape("preference_text", given[1], run)["prompt"] == (
        "User: Name a river.\n\nAssistant: The Ebro.\n\nUser: Task 1\n\non this"
    )


def test_two_exports_have_equal_bytes(tmp_path):
    for name in ("one", "two"):
        dataset.write(tmp_path / name, {"train": rows(6)}, settings())
    files = [file for file in (tmp_path / "one").rglob("*") if file.is_file()]
    assert len(files) == 4
    assert all(
        file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes() for file in files
    )


# Private by default --------------------------------------------------------------------------------------------------


@pytest.fixture
def person(monkeypatch, tmp_path):
    for name in ("USER", "LOGNAME"):
        monkeypatch.setenv(name, "zaphod")
    monkeypatch.setenv("HOME", "/home/zaphod")
    monkeypatch.setattr("platform.node", lambda: "heart-of-gold.example.org")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("made by zaphod.", "the user name"),
        ("on heart-of-gold", "the host name"),
        ("in /home/zaphod/runs", "the home folder"),
        ("key hf_" + "a1B2" * 9, "a token"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a token"),
    ],
)
def test_what_is_private_is_found_even_across_blocks(person, tmp_path, monkeypatch, text, what):
    monkeypatch.setattr(privacy, "WINDOW", 64)
    (tmp_path / "card.md").write_text("x" * 60 + f" {text} " + "y" * 60)
    with pytest.raises(UserError, match=what):
        privacy.check([tmp_path / "card.md"])


@pytest.mark.parametrize(
    "text", ["zaphodic", "the root of a tree", "hf_short", "/home/other/runs", "half_" + "a" * 40, "task-" + "a" * 40]
)
def test_what_is_not_private_passes_wherever_blocks_end(person, tmp_path, monkeypatch, text):
    monkeypatch.setattr(privacy, "WINDOW", 64)
    monkeypatch.setattr(privacy, "OVERLAP", 48)
    for before in range(64):
        (tmp_path / "card.md").write_text("y " * (before // 2) + " " * (before % 2) + text + " y" * 64)
        privacy.check([tmp_path / "card.md"])


def test_the_current_folder_is_private(person, tmp_path):
    (tmp_path / "card.md").write_text(f"see {Path.cwd()}/results")
    with pytest.raises(UserError, match="the current folder"):
        privacy.check([tmp_path / "card.md"])


# Push ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch):
    """A hub that notes what it is asked."""
    asked = []

    class Api:
        def __getattr__(self, name):
            return lambda *given, **named: asked.append((name, given, named)) or "done"

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    return asked


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "published/d_0"
    (folder / "jsonl").mkdir(parents=True)
    (folder / "README.md").write_text("# Data\n")
    (folder / "jsonl/train.jsonl").write_text("{}\n")
    (folder / ".snakemake_timestamp").touch()
    return folder


def test_push_tells_and_sends_nothing_by_default(hub, published):
    told = push(published, "owner/name", execute=False, public=False)
    assert told[0].startswith("dataset owner/name (private): 2 files") and told[-1].startswith("Nothing was sent")
    assert hub == []


def test_push_sends_privately_when_told_to(hub, published):
    push(published, "owner/name", execute=True, public=False)
    (create, _, made), (upload, _, sent) = hub
    assert (create, upload) == ("create_repo", "upload_folder")
    assert made["private"] is True and made["repo_type"] == sent["repo_type"] == "dataset"
    assert sent["folder_path"] == published


def test_push_refuses_what_was_not_published_or_is_private(hub, published, tmp_path, capsys):
    assert main(["push", str(tmp_path), "owner/name", "--execute"]) == 2
    assert "snakemake publish" in capsys.readouterr().err
    assert main(["push", str(published), "no-owner", "--execute"]) == 2
    (published / "README.md").write_text("hf_" + "a1B2" * 9)
    assert main(["push", str(published), "owner/name", "--execute"]) == 2
    assert hub == []


# Archives ------------------------------------------------------------------------------------------------------------


def test_an_archive_has_the_same_bytes_each_time(tmp_path):
    (tmp_path / "file").write_text("content")
    for name in ("one", "two"):
        archive._write(tmp_path / name, "top", {"a/file": tmp_path / "file"}, {"README.txt": "read"})
        (tmp_path / "file").touch()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_packed_base_model_is_checked_where_it_is_unpacked(tmp_path):
    run = Finished(tmp_path / "one")
    whole = read_sealed(run.results / "manifest.json")
    local = {**whole["made"]["settings"]["model"], "path": "outside/base"}
    made = {**whole["made"], "settings": {**whole["made"]["settings"], "model": local}}
    write_record(run.results / "manifest.json", made, whole["observed"])
    settings = Publish(archive_base=True)
    archive.pack(Results(run.results), tmp_path / "a.tar.gz", settings, run.base, threads=2)
    with pytest.raises(UserError, match="base model's folder is not here"):
        archive.pack(Results(run.results), tmp_path / "b.tar.gz", settings, tmp_path / "nowhere", threads=2)

    with tarfile.open(tmp_path / "a.tar.gz") as packed:
        packed.extractall(tmp_path / "two", filter="data")
    command = ["verify", str(tmp_path / "two/a/results/a")]
    assert main(command) == 0
    (tmp_path / "two/a/outside/base/model.safetensors").write_text("of another model")
    assert main([*command, "--json", str(tmp_path / "found.json")]) == 1
    (told,) = json.loads((tmp_path / "found.json").read_text())
    assert [(one["kind"], one["artifact"]) for one in told["findings"]] == [("changed_model", "base/")]
