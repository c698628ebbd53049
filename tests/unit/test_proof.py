"""Verification and comparison on a run of two stages, made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from isheep import provenance
from isheep.config import load
from isheep.errors import UserError
from isheep.graph import Graph
from isheep.models import identity_of
from isheep.proof import compare, manifest
from isheep.proof.crate import crate
from isheep.proof.edits import explain
from isheep.proof.numbers import distance
from isheep.proof.reproduce import prepare
from isheep.proof.results import Broken, Results, in_run, read_sealed, stage_key
from isheep.proof.stale import differences, stale, stale_code
from isheep.proof.verify import verify
from isheep.provenance import contents_of, digest_artifact, portable, renamed, write_record
from isheep.records import digest, digest_file, write_json, write_rows

ROOT = Path(__file__).resolve().parents[2]
FAKE = {"engine": {"name": "fake"}, "train": {"trainer": "fake"}, "rounds": 1}
HARDWARE = {"machine": "x86_64", "cpu": "a CPU", "features": [], "gpus": 0, "threads": 1}


class Run:
    """`results/a` of two stages: a base model that is looked at, prompts that are written with it and a file."""

    def __init__(
        self, folder: Path, seed: int = 0, text: str = "a task", version: str = "1", cpu: str = "a CPU"
    ) -> None:
        self.folder = folder
        self.results = folder / "results/a"
        self.base = folder / "models/base"
        self.base.mkdir(parents=True)
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            (self.base / name).write_text(f"{name} of the base")
        (folder / "seeds.jsonl").write_text('{"id": "s"}\n')
        self.facts = {"seed": seed, "versions": {"torch": version}, "cpu": cpu}
        write_json(self.results / "iter_0/identity.json", identity_of(contents_of(self.base)))
        self.record("iter_0", "identify_model", [], ["iter_0/identity.json"])
        write_rows(
            self.results / "d_0/prompts.jsonl", [{"id": f"p{n}", "instruction": f"{text} {n}"} for n in range(3)]
        )
        self.record("d_0", "generate_prompts", ["iter_0/identity.json"], ["d_0/prompts.jsonl"])
        self.gather()

    def record(self, round_folder: str, stage: str, reads: list[str], makes: list[str], **more: object) -> None:
        """Write the record of a stage as a job does."""
        inputs = {f"results/a/{path}": digest_artifact(self.results / path) for path in reads}
        inputs["seeds.jsonl"] = digest_file(self.folder / "seeds.jsonl")
        made = {
            **{"stage": stage, "run": "a", "round": 0, "seed": self.facts["seed"], "model": None, "settings": {}},
            **{"code": "0" * 64, "versions": self.facts["versions"], "tokens": {}, "inputs": inputs},
            "outputs": {f"results/a/{path}": digest_artifact(self.results / path) for path in makes},
            "contents": {},
            **more,
        }
        hardware = {**HARDWARE, "cpu": self.facts["cpu"]}
        observed = {"hardware": hardware, "started": "2026-01-02T03:04:05+00:00", "seconds": 1.5}
        write_record(self.results / round_folder / "records" / f"{stage}.json", made, observed)

    def gather(self) -> None:
        """Write the manifest."""
        settings = load({"runs": {"a": {**FAKE, "seeds": {"path": "seeds.jsonl"}}}}, ROOT).runs["a"]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            records = [
                f"results/a/{name}"
                for name in ("iter_0/records/identify_model.json", "d_0/records/generate_prompts.json")
            ]
            gathered = manifest.gather("a", settings.model_dump(mode="json"), records, ["seeds.jsonl"], self.folder)
        write_json(self.results / "ro-crate-metadata.json", crate(gathered))
        gathered["observed"]["exports"] = {
            "ro-crate-metadata.json": digest_file(self.results / "ro-crate-metadata.json")
        }
        write_record(self.results / "manifest.json", gathered["made"], gathered["observed"])

    def check(self) -> list[tuple[str, str]]:
        """Return kind and artifact of every finding."""
        found, _ = verify(Results(self.results), threads=2, base=self.base)
        return [(finding.kind, finding.artifact) for finding in found.findings]


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "one")


# Verify --------------------------------------------------------------------------------------------------------------


def test_an_untouched_run_verifies(run):
    assert run.check() == []


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_swapped_base_model_is_found(run, name):
    (run.base / name).write_text("of another model")
    assert run.check() == [("changed_model", "base/")]


def test_a_file_added_to_the_base_model_that_decides_what_it_writes_is_found(run):
    (run.base / "chat_template.jinja").write_text("{{ messages }}")
    assert run.check() == [("changed_model", "base/")]


def test_a_base_model_that_is_not_here_is_told_and_no_fault(run):
    found, _ = verify(Results(run.results), threads=1, base=None)
    assert found.ok and found.notes == ["the base model is not here; its weights are not checked"]


def test_a_whole_stage_forged_with_its_record_contradicts_the_manifest(run):
    write_rows(run.results / "d_0/prompts.jsonl", [{"id": "p0", "instruction": "forged"}])
    run.record("d_0", "generate_prompts", ["iter_0/identity.json"], ["d_0/prompts.jsonl"])
    assert run.check() == [("old_manifest", "results/a/d_0/records/generate_prompts.json")]


def test_an_earlier_stage_made_again_breaks_the_link(run):
    (run.results / "iter_0/identity.json").write_text('{"sha256": "other", "files": {}}')
    run.record("iter_0", "identify_model", [], ["iter_0/identity.json"])
    run.gather()
    ((kind, artifact),) = run.check()
    assert (kind, artifact) == ("broken_link", "results/a/iter_0/identity.json")


@pytest.mark.parametrize("place", ["made", "observed"])
def test_an_edited_record_is_found_whatever_was_edited(run, place):
    file = run.results / "d_0/records/generate_prompts.json"
    record = json.loads(file.read_text())
    record[place]["round" if place == "made" else "seconds"] = 7
    record["sha256"] = digest(record["made"])
    write_json(file, record)
    assert run.check() == [("edited_record", "results/a/d_0/records/generate_prompts.json")]


def test_other_whitespace_in_a_record_is_found(run):
    file = run.results / "manifest.json"
    file.write_text(file.read_text().replace("  ", " ", 1))
    with pytest.raises(Broken, match="edited"):
        read_sealed(file)
    assert ("edited_manifest", "results/a/manifest.json") in run.check()


def test_a_manifest_cannot_point_outside_its_results(run):
    results = Results(run.results)
    for path in ("/etc/passwd", "results/a/../../secret", "../x", ""):
        with pytest.raises(UserError, match="not the path of an artifact"):
            results.find(path)


def test_a_run_is_found_in_a_folder_of_another_name(run, tmp_path):
    run.results.rename(tmp_path / "renamed")
    results = Results(tmp_path / "renamed")
    assert results.run == "a"
    assert verify(results, threads=1)[0].ok


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        Results(tmp_path / "nothing")


def test_names_of_stages_and_artifacts_do_not_depend_on_the_owner():
    assert stage_key("results/b/d_0/records/select_data.json") == "d_0/select_data"
    assert stage_key("results/b/records/summarise_run.json") == "summarise_run"
    assert in_run("results/b/d_0/selected.jsonl") == "d_0/selected.jsonl"
    assert in_run("config/seeds/x.jsonl") == "config/seeds/x.jsonl"


def test_the_edited_row_is_told_by_its_neighbours(tmp_path):
    rows = [{"id": f"p{n}", "instruction": f"task {n}"} for n in range(3)]
    write_rows(tmp_path / "prompts.jsonl", rows)
    write_rows(tmp_path / "outputs.jsonl", [{**row, "output": "x"} for row in rows])
    assert explain(tmp_path / "prompts.jsonl", [tmp_path / "outputs.jsonl"]) == ""
    rows[1]["instruction"] = "another"
    write_rows(tmp_path / "prompts.jsonl", rows)
    assert explain(tmp_path / "prompts.jsonl", [tmp_path / "outputs.jsonl"]).startswith("line 2 (p1): 'instruction'")
    (tmp_path / "prompts.jsonl").write_text('{"id": "p0"}\n{"id": \n')
    assert explain(tmp_path / "prompts.jsonl", []) == "line 2 is not a row"


# Stale ---------------------------------------------------------------------------------------------------------------


def test_settings_files_and_code_changed_since_are_named(run, monkeypatch):
    monkeypatch.chdir(run.folder)
    settings = {**FAKE, "seeds": {"path": "seeds.jsonl"}, "prompts": {"meta_prompt": "seeds.jsonl"}}
    graph = Graph(load({"runs": {"a": settings}}, ROOT), ROOT)
    now = graph.settings("a", "generate_prompts")
    current = provenance.code_digest("generate_prompts.py")
    reads = ["iter_0/identity.json"]
    run.record("d_0", "generate_prompts", reads, ["d_0/prompts.jsonl"], settings=now, code=current)
    _, stages = verify(Results(run.results), threads=1)

    def kinds() -> set[tuple[str, str]]:
        return {(one.kind, one.stage) for one in stale(graph, "a", stages, None) if one.stage == "d_0/generate_prompts"}

    assert kinds() == set()
    stages["d_0/generate_prompts"]["settings"] = {**now, "seed": 5}
    assert kinds() == {("stale_settings", "d_0/generate_prompts")}
    stages["d_0/generate_prompts"]["settings"] = now
    stages["d_0/generate_prompts"]["code"] = "1" * 64
    assert kinds() == {("stale_code", "d_0/generate_prompts")}
    stages["d_0/generate_prompts"]["code"] = current
    (run.folder / "seeds.jsonl").write_text('{"id": "other"}\n')
    assert kinds() == {("stale_file", "d_0/generate_prompts")}


def test_stale_code_names_the_files_that_changed():
    stages = {"d_0/select_data": {"stage": "select_data", "code": "0" * 64, "record": "results/a/d_0/records/x.json"}}
    then = {**provenance.code_files("select_data.py"), "isheep/select.py": "0" * 64}
    (finding,) = stale_code(stages, then)
    assert "(scripts/isheep/select.py)" in finding.message


def test_differences_are_told_by_key():
    old, new = {"a": {"b": 1, "c": [1, 2]}, "d": 0}, {"a": {"b": 1, "c": [1, 3]}, "e": 0}
    assert list(differences(old, new)) == [("a.c[1]", 2, 3), ("d", 0, None), ("e", None, 0)]


# Compare -------------------------------------------------------------------------------------------------------------


def compared(one: Run, other: Run) -> dict[str, compare.Compared]:
    old, new = Results(one.results), Results(other.results)
    return {found.artifact: found for found in compare.compare(old.manifest, new.manifest, old, new, 1e-5)}


def test_equal_runs_are_identical(run, tmp_path):
    found = compared(run, Run(tmp_path / "two"))
    assert {one.verdict for one in found.values()} == {"identical"}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"seed": 1}, "other seed (0, now 1)"),
        ({"version": "2"}, "other library version (torch 1, now 2)"),
        ({"cpu": "another CPU"}, "other hardware (cpu a CPU, now another CPU)"),
        ({}, "none is recorded"),
    ],
)
def test_what_differs_is_told_with_its_cause(run, tmp_path, change, cause):
    found = compared(run, Run(tmp_path / "two", text="another task", **change))
    prompts = found["d_0/prompts.jsonl"]
    assert prompts.verdict == "different" and prompts.where == "line 1 instruction"
    assert prompts.causes[0].startswith(cause)
    assert found["iter_0/identity.json"].verdict == "identical"
    assert compare.outcome(list(found.values())) == "different"


def test_without_the_originals_a_difference_is_still_told(run, tmp_path):
    old, new = Results(run.results), Results(Run(tmp_path / "two", text="another task").results)
    found = {one.artifact: one for one in compare.compare(old.manifest, new.manifest, None, new, 1e-5)}
    assert found["d_0/prompts.jsonl"].verdict == "different"
    assert "not at hand" in found["d_0/prompts.jsonl"].where


def save(path: Path, **tensors: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path


def test_tensors_are_as_far_apart_as_their_farthest_number(tmp_path):
    old = save(tmp_path / "old.safetensors", a=np.array([1.0, 2.0], np.float32), b=np.array([100.0], np.float32))
    new = save(tmp_path / "new.safetensors", a=np.array([1.0, 2.0], np.float32), b=np.array([100.5], np.float32))
    found = distance(old, new)
    assert found.where == "b" and found.largest == pytest.approx(0.5 / 100.5)


@pytest.mark.parametrize(
    "other",
    [
        {"a": np.array([1.0, np.nan], np.float32)},
        {"a": np.array([1.0, 2.0], np.float64)},
        {"a": np.array([[1.0, 2.0]], np.float32)},
        {"c": np.array([1.0, 2.0], np.float32)},
    ],
)
def test_other_tensors_are_infinitely_far_apart(tmp_path, other):
    old = save(tmp_path / "old.safetensors", a=np.array([1.0, 2.0], np.float32))
    assert distance(old, save(tmp_path / "new.safetensors", **other)).largest == float("inf")


@pytest.mark.parametrize(
    ("old", "new", "largest"),
    [
        ({"score": 1.0}, {"score": 1.00001}, 1e-5 / 1.00001),
        ({"text": "a"}, {"text": "b"}, float("inf")),
        ({"score": True}, {"score": 1.5}, float("inf")),
        ({"score": None}, {"score": 1.5}, float("inf")),
        ({"a": 1}, {"b": 1}, float("inf")),
        ({"sha256": "0" * 64}, {"sha256": "1" * 64}, 0.0),
        ({"path": "results/a/d_0"}, {"path": "results/b/d_0"}, 0.0),
        ([1, 2], [1, 2, 3], float("inf")),
    ],
)
def test_values_are_compared_as_numbers_where_both_are(tmp_path, old, new, largest):
    for name, value in (("old", old), ("new", new)):
        write_json(tmp_path / f"{name}.json", value)
        write_rows(tmp_path / f"{name}.jsonl", [{"id": "x", "value": value}])
    assert distance(tmp_path / "old.json", tmp_path / "new.json").largest == pytest.approx(largest)
    assert distance(tmp_path / "old.jsonl", tmp_path / "new.jsonl").largest == pytest.approx(largest)


def test_folders_are_compared_file_by_file(tmp_path):
    one = np.ones(3, np.float32)
    for name in ("old", "new"):
        save(tmp_path / name / "model.safetensors", a=one if name == "old" else one * (1 + 1e-6))
        (tmp_path / name / "config.json").write_text("{}")
    found = distance(tmp_path / "old", tmp_path / "new")
    assert 0 < found.largest < 1e-5 and found.where == "model.safetensors a"
    (tmp_path / "new/more.json").write_text("{}")
    assert distance(tmp_path / "old", tmp_path / "new").where == "only one of the two has more.json"


# Reproduce -----------------------------------------------------------------------------------------------------------


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
