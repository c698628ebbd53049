"""Verification on a run of two stages: what was changed, lost or made by other settings is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from two_stages import FAKE, ROOT, Run

from isheep.config import load
from isheep.config.run import Run as Settings
from isheep.data.files import contents_of, digest, digest_artifact, write_json
from isheep.data.rows import write_rows
from isheep.data.values import differences
from isheep.errors import UserError
from isheep.proof.edits import explain
from isheep.proof.findings import Verification
from isheep.proof.results import Broken, Results, read_sealed, stage_key
from isheep.proof.stale import stale, stale_code, stale_page
from isheep.proof.verify import verify
from isheep.runner import code
from isheep.runner.origin import find_origin
from isheep.runner.portable import in_run
from isheep.runner.record import sealed, write_record
from isheep.serving.models import identity_of
from isheep.stages.table import table
from isheep.workflow.graph import Graph


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


def test_a_swapped_judge_is_found(run, tmp_path):
    shutil.copytree(run.base, tmp_path / "judge")
    write_json(run.results / "iter_0/evaluation/judge.json", identity_of(contents_of(tmp_path / "judge")))
    run.record("iter_0/evaluation", "identify_judge", [], ["iter_0/evaluation/judge.json"])
    run.gather("iter_0/evaluation/records/identify_judge.json")
    found, _ = verify(Results(run.results), threads=1, base=run.base, judge=tmp_path / "judge")
    assert found.ok and not found.notes
    (tmp_path / "judge/model.safetensors").write_text("of another model")
    found, _ = verify(Results(run.results), threads=1, base=run.base, judge=tmp_path / "judge")
    assert [(one.kind, one.artifact) for one in found.findings] == [("changed_model", "judge/")]
    assert verify(Results(run.results), threads=1, base=run.base)[0].notes == [
        "the evaluation's judge is not here; its weights are not checked"
    ]


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


def test_the_manifest_follows_from_an_edited_record_and_nothing_else_does(run):
    file = run.results / "d_0/records/generate_prompts.json"
    file.write_text(file.read_text().replace("generate_prompts", "generate_nothing", 1))
    (finding,) = verify(Results(run.results), threads=1)[0].findings
    assert finding.downstream == ("results/a/manifest.json",)


def test_records_of_deeper_folders_count(run):
    write_rows(run.results / "iter_0/evaluation/rows.jsonl", [{"id": "x"}])
    run.record("iter_0/evaluation", "evaluate", [], ["iter_0/evaluation/rows.jsonl"])
    assert run.check() == []
    (run.results / "iter_0/evaluation/rows.jsonl").write_text("")
    assert run.check() == [("changed_artifact", "results/a/iter_0/evaluation/rows.jsonl")]


def test_what_the_manifest_exports_is_checked_and_the_command_named_that_makes_it_again(run):
    (run.results / "ro-crate-metadata.json").unlink()
    assert run.check() == [("missing_artifact", "results/a/ro-crate-metadata.json")]
    (finding,) = verify(Results(run.results), threads=1)[0].findings
    assert "type `snakemake results/a/ro-crate-metadata.json`" in finding.line("a")


def test_a_record_that_earlier_settings_left_is_a_note_and_no_damage(run):
    write_rows(run.results / "d_0/filtered.jsonl", [{"id": "x"}])
    run.record("d_0", "filter_outputs", ["d_0/prompts.jsonl"], ["d_0/filtered.jsonl"])
    (run.results / "d_0/filtered.jsonl").write_text("")
    found, stages = verify(Results(run.results), threads=1, base=run.base)
    assert found.ok and "d_0/filter_outputs" not in stages
    assert [note for note in found.notes if note.startswith("results/a/d_0/records/filter_outputs.json is of earlier")]


def test_a_stage_that_a_run_shares_and_once_had_itself_is_a_note(run):
    manifest = json.loads((run.results / "manifest.json").read_text())
    listed = manifest["made"]["stages"]["d_0/generate_prompts"]
    record = run.results / "d_0/records/generate_prompts.json"
    other = run.results.parent / "b/d_0/records/generate_prompts.json"
    other.parent.mkdir(parents=True)
    shutil.copy(record, other)
    manifest["observed"]["seals"]["results/b/d_0/records/generate_prompts.json"] = json.loads(record.read_text())[
        "seal"
    ]
    listed["record"] = "results/b/d_0/records/generate_prompts.json"
    write_json(run.results / "manifest.json", sealed(manifest["made"], manifest["observed"]))
    found, _ = verify(Results(run.results), threads=1, base=run.base)
    assert found.ok and "results/a/d_0/records/generate_prompts.json is of earlier" in " ".join(found.notes)


def publish(run: Run, folder: str) -> None:
    """Leave the record and the folder that publishing a round's data leaves."""
    place = run.results / "published" / folder
    place.mkdir(parents=True)
    (place / "README.md").write_text("A card.")
    contents = {f"results/a/published/{folder}": contents_of(place)}
    run.record(folder, "publish_data", ["manifest.json"], [f"published/{folder}"], contents=contents)


def test_what_was_published_before_the_run_went_on_is_told_apart_from_damage(run):
    publish(run, "d_0")
    publish(run, "d_7")
    assert run.check() == []
    run.record("iter_0/evaluation", "evaluate", ["d_0/prompts.jsonl"], [])
    run.gather("iter_0/evaluation/records/evaluate.json")
    found, _ = verify(Results(run.results), threads=1, base=run.base)
    (finding,) = found.findings
    assert (finding.kind, finding.artifact) == ("old_publication", "results/a/published/d_0")
    assert "type `snakemake publish`" in finding.line("a")
    (note,) = found.notes
    assert note.startswith("results/a/d_7/records/publish_data.json is of earlier settings"), "a round that is no more"


def test_every_finding_names_what_mends_it(run):
    publish(run, "d_0")
    (run.results / "d_0/prompts.jsonl").write_text("{}\n")
    (run.base / "config.json").write_text("{}")
    (run.results / "ro-crate-metadata.json").unlink()
    file = run.results / "iter_0/records/identify_model.json"
    file.write_text(file.read_text().replace("  ", " ", 1))
    run.record("d_0", "generate_prompts", ["iter_0/identity.json"], ["d_0/prompts.jsonl"], round=5)
    (run.results / "d_0/prompts.jsonl").write_text("{ }\n")
    found, _ = verify(Results(run.results), threads=1, base=run.base)
    kinds = {"changed_artifact", "changed_model", "missing_artifact", "edited_record", "old_manifest"}
    assert {finding.kind for finding in found.findings} == kinds
    assert all("type `snakemake" in finding.line("a") for finding in found.findings)


def test_a_result_of_another_run_is_followed(run):
    other = run.results.parent / "b/d_0/selected.jsonl"
    write_rows(other, [{"id": "x"}])
    outputs = {"results/b/d_0/selected.jsonl": digest_artifact(other)}
    record = {"run": "b", "stage": "select_data", "outputs": outputs}
    write_record(other.parent / "records/select_data.json", record, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(run.folder)
        origin = find_origin(Path("results/b/d_0/selected.jsonl"))
    name = "outside/12345678/selected.jsonl"
    inputs = {"results/a/iter_0/identity.json": digest_artifact(run.results / "iter_0/identity.json")}
    inputs |= {name: digest_artifact(other)}

    def given(**more: object) -> Verification:
        run.record("d_0", "generate_prompts", [], ["d_0/prompts.jsonl"], inputs=inputs, origins={name: origin | more})
        run.gather()
        manifest = json.loads((run.results / "manifest.json").read_text())
        manifest["made"]["files"][name] = {"sha256": inputs[name], "text": ""}
        write_json(run.results / "manifest.json", sealed(manifest["made"], manifest["observed"]))
        return verify(Results(run.results), threads=1, base=run.base)[0]

    assert given().ok and not given().notes
    write_record(other.parent / "records/select_data.json", {**record, "seed": 1}, {})
    assert given().ok and "made again since, of the same bytes" in given().notes[0]
    write_rows(other, [{"id": "y"}])
    (finding,) = given().findings
    assert (finding.kind, finding.artifact) == ("changed_origin", name)
    assert "is d_0/select_data of the run b, and is other now; type `snakemake`" in finding.message
    other.unlink()
    assert given().ok and "is not beside this run" in given().notes[0]


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
    current = graph.code("a", "generate_prompts")
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
    then = {**code.code_files(*table()["select_data"].modules(Settings())), "isheep/select/rows.py": "0" * 64}
    (finding,) = stale_code(stages, then, Settings())
    assert "(scripts/isheep/select/rows.py)" in finding.message


def test_a_page_is_stale_when_its_style_sheet_changed():
    then = code.code_files("write_report.py")
    assert stale_page("a", then) == stale_page("a", None) == []
    (finding,) = stale_page("a", {**then, "isheep/report/page.css": "0" * 64})
    assert (finding.kind, finding.artifact) == ("stale_code", "results/a/report.html")
    assert "(scripts/isheep/report/page.css)" in finding.message


def test_differences_are_told_by_key():
    old, new = {"a": {"b": 1, "c": [1, 2]}, "d": 0}, {"a": {"b": 1, "c": [1, 3]}, "e": 0}
    assert list(differences(old, new)) == [("a.c[1]", 2, 3), ("d", 0, None), ("e", None, 0)]
