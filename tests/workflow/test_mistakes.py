"""A user's mistake ends before anything runs, in one message without a traceback."""

from __future__ import annotations

from copy import deepcopy

from workplace import FAKE


def refused(place, *said: str) -> None:
    done = place.snakemake(check=False)
    text = done.stdout + done.stderr
    assert done.returncode != 0
    for words in said:
        assert words in text
    assert "Traceback" not in text
    assert not (place.folder / "results").exists()


def test_a_missing_seed_file_is_named(workplace):
    place = workplace()
    place.configure({"a": {**FAKE, "seeds": {"path": "nowhere.jsonl"}}})
    refused(place, "nowhere.jsonl")


def test_several_mistakes_come_together(workplace):
    place = workplace()
    wrong = deepcopy(FAKE)
    wrong["prompts"] |= {"row": 3, "shots": 0}
    place.configure({"a": wrong})
    refused(place, "runs.a.prompts.row: unknown key; did you mean 'rows'?", "runs.a.prompts.shots")


def test_an_unknown_rule_is_named(workplace):
    place = workplace()
    wrong = deepcopy(FAKE)
    wrong["outputs"]["rules"] = ["emty"]
    place.configure({"a": wrong})
    refused(place, "outputs.rules", "emty", "empty")


def test_a_model_folder_without_weights_is_named(workplace):
    place = workplace()
    (place.folder / "model").mkdir()
    (place.folder / "model/config.json").write_text('{"max_position_embeddings": 2048}')
    place.configure({"a": {"model": {"path": "model"}, "rounds": 1}})
    refused(place, "model", "safetensors")


def test_a_model_with_pickled_weights_only_is_refused(workplace):
    place = workplace()
    (place.folder / "model").mkdir()
    (place.folder / "model/config.json").write_text('{"max_position_embeddings": 2048}')
    (place.folder / "model/pytorch_model.bin").write_bytes(b"\x80\x04.")
    place.configure({"a": {"model": {"path": "model"}, "rounds": 1}})
    refused(place, "pytorch_model.bin", "model.allow_pickle")


def test_a_run_without_a_model_says_how_to_give_one(workplace):
    place = workplace()
    place.configure({"a": {"rounds": 1}})
    refused(place, "model: no base model; give model.path")


def test_a_stage_that_cannot_go_on_names_itself_its_log_and_the_remedy(workplace):
    place = workplace()
    stingy = deepcopy(FAKE)
    stingy["select"] = {"kind": "threshold", "above": {"quality": 9.9, "following": 9.9}, "floor": 4}
    place.configure({"a": stingy})
    done = place.snakemake(check=False)
    text = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in text
    last = text.rstrip().splitlines()[-1]
    assert last.startswith("a round 0 select_data failed: 0 rows selected, fewer than select.floor (4)")
    assert last.endswith("(log: logs/a/d_0/select_data.log)")
