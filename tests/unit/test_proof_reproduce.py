"""A manifest becomes a folder in which its run is made again, and nothing else."""

from __future__ import annotations

import json

import pytest
from two_stages import FAKE, ROOT, Run

from isheep.config import load
from isheep.errors import UserError
from isheep.proof.reproduce import prepare
from isheep.proof.results import read_sealed
from isheep.runner.portable import portable, portable_places, renamed
from isheep.runner.record import write_record


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "one")


def test_a_manifest_lays_out_a_folder_and_becomes_the_config(run, tmp_path):
    asked = {"manifest": str(run.results / "manifest.json")}
    made = prepare(asked, tmp_path / "new")
    assert (made.folder / "seeds.jsonl").read_bytes() == (run.folder / "seeds.jsonl").read_bytes()
    assert list(asked) == ["runs"] and asked["runs"]["a"]["seeds"]["path"] == "seeds.jsonl"
    assert load(asked, ROOT).runs["a"].rounds == 1
    before = (made.folder / "seeds.jsonl").stat().st_mtime_ns
    prepare({"manifest": str(run.results / "manifest.json")}, tmp_path / "new")
    assert (made.folder / "seeds.jsonl").stat().st_mtime_ns == before


def remade(run: Run, /, **changes: object) -> dict[str, str]:
    """Return what to ask for with a manifest that was changed and sealed again."""
    whole = read_sealed(run.results / "manifest.json")
    made = {**whole["made"], **changes}
    write_record(run.folder / "changed.json", made, whole["observed"])
    return {"manifest": str(run.folder / "changed.json")}


@pytest.mark.parametrize("name", ["/etc/x", "../x", "results/a/d_0/prompts.jsonl"])
def test_a_manifest_that_writes_outside_its_folder_is_refused(run, tmp_path, name):
    with pytest.raises(UserError, match="outside its folder"):
        prepare(remade(run, files={name: {"sha256": "0" * 64, "text": "x"}}), tmp_path / "new")
    with pytest.raises(UserError, match="no name of a run"):
        prepare(remade(run, run=name), tmp_path / "new")


@pytest.mark.parametrize("key", ["trust_remote_code", "allow_pickle"])
def test_a_manifest_that_would_run_foreign_code_needs_trust(run, tmp_path, key):
    settings = read_sealed(run.results / "manifest.json")["made"]["settings"]
    risky = {**settings, "model": {**settings["model"], key: True}}
    with pytest.raises(UserError, match="trust=true"):
        prepare(remade(run, settings=risky), tmp_path / "new")
    assert prepare({**remade(run, settings=risky), "trust": True}, tmp_path / "new").run == "a"


def test_a_base_model_that_lay_in_a_folder_must_be_given(run, tmp_path):
    settings = read_sealed(run.results / "manifest.json")["made"]["settings"]
    local = {**settings, "model": {**settings["model"], "path": "outside/mine"}}
    asked = remade(run, settings=local, models={"iter_0": "12" * 32})
    with pytest.raises(UserError, match="model=FOLDER"):
        prepare(dict(asked), tmp_path / "new")
    given = {**asked, "model": str(run.base)}
    prepare(given, tmp_path / "new")
    again = {**asked, "model": str(tmp_path)}
    prepare(again, tmp_path / "new")  # another model in the same folder: its own config.yaml may be written anew
    assert given["runs"]["a"]["model"]["path"] == str(run.base)


JUDGED = {"turns": {"kind": "mt_bench", "path": "turns.jsonl"}}


@pytest.mark.parametrize(
    ("evaluation", "option", "given"),
    [
        ({"benchmarks": JUDGED, "judge": {"kind": "endpoint", "base_url": "URL", "model": "j"}}, "judge", "URL"),
        ({"benchmarks": JUDGED, "judge": {"kind": "model", "model": {"path": "FOLDER"}}}, "judge", "FOLDER"),
        ({"harness": {"tasks": ["mine"], "include_path": "FOLDER"}}, "tasks", "FOLDER"),
    ],
)
def test_what_the_evaluation_had_elsewhere_is_in_no_record_and_must_be_given(run, tmp_path, evaluation, option, given):
    there = {"URL": "http://heart-of-gold.example/v1", "FOLDER": str(tmp_path / "zaphod-beeblebrox")}
    (tmp_path / "zaphod-beeblebrox").mkdir()
    text = json.dumps(evaluation).replace(given, there[given])
    settings = load({"runs": {"a": {**FAKE, "evaluation": json.loads(text)}}}, ROOT).runs["a"].model_dump(mode="json")
    told = renamed(settings, portable_places(settings))
    assert "heart-of-gold" not in json.dumps(told) and str(tmp_path) not in json.dumps(told)

    asked = remade(run, settings={**read_sealed(run.results / "manifest.json")["made"]["settings"], **told})
    with pytest.raises(UserError, match=f"{option}={given}"):
        prepare(dict(asked), tmp_path / "new")
    asked[option] = there[given]
    prepare(asked, tmp_path / "new")
    assert asked["runs"]["a"]["evaluation"] == settings["evaluation"]
    with pytest.raises(UserError, match="leave it out"):
        prepare({"manifest": str(run.results / "manifest.json"), option: there[given]}, tmp_path / "other")


@pytest.mark.parametrize(
    ("more", "message"),
    [({"manifest": "nowhere.json"}, "no such file"), ({"rounds": 3}, "unknown"), ({"tolerance": "x"}, "not a number"),
     ({"model": "nowhere"}, "no such folder")],
)  # fmt: skip
def test_mistakes_are_told(run, tmp_path, more, message):
    with pytest.raises(UserError, match=message):
        prepare({"manifest": str(run.results / "manifest.json"), **more}, tmp_path / "new")


def test_files_of_others_are_never_written_over(run, tmp_path):
    for name in ("seeds.jsonl", "config.yaml"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text("mine\n")
        with pytest.raises(UserError, match="empty folder"):
            prepare({"manifest": str(run.results / "manifest.json")}, folder)
        assert (folder / name).read_text() == "mine\n"


def test_a_run_is_not_made_again_in_its_own_folder(run):
    with pytest.raises(UserError, match="another folder"):
        prepare({"manifest": str(run.results / "manifest.json")}, run.folder)


# Records -------------------------------------------------------------------------------------------------------------


def test_paths_outside_the_folder_lose_their_folders():
    assert portable("config/x.txt", "ab" * 32) == "config/x.txt"
    assert portable("/home/someone/x.txt", "ab" * 32) == "outside/abababab/x.txt"
    assert portable("../someone/x.txt", "ab" * 32) == "outside/abababab/x.txt"
    settings = {"a": ["/home/someone/x.txt"], "b": {"c": "/no_think"}}
    assert renamed(settings, {"/home/someone/x.txt": "x"}) == {"a": ["x"], "b": {"c": "/no_think"}}


def test_a_file_that_changed_before_the_manifest_is_refused(run):
    (run.folder / "seeds.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"seeds\.jsonl: changed since identify_model read it"):
        run.gather()
