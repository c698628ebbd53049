"""Models and settings that must be refused before anything starts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from shutil import copy

import numpy as np
import pytest
from harness import HOOK, FaultPlace, small
from safetensors.numpy import save_file

# Snakemake's SLURM plugin brings pandas and numpy; everything else of the environment is hidden.
HEAVY = "torch,vllm,transformers,trl,peft,deepspeed,datasets,safetensors,rapidfuzz,huggingface_hub,lm_eval,altair"


def model_folder(folder, damage=None):
    """Make a model folder of two shards, and damage it."""
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 4096}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    shards = {name: f"model-0000{number}-of-00002.safetensors" for number, name in enumerate("ab", start=1)}
    for name, file in shards.items():
        save_file({name: np.ones(64, np.float32)}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    if damage:
        damage(folder)


def corrupt(folder):
    file = folder / "model-00002-of-00002.safetensors"
    file.write_bytes(file.read_bytes()[:-9])


def pickled(folder):
    for file in folder.glob("model*"):
        file.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.")


FOLDERS = {
    "corrupt_shard": corrupt,
    "missing_shard": lambda folder: (folder / "model-00002-of-00002.safetensors").unlink(),
    "missing_tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "remote_code": lambda folder: (folder / "modeling_own.py").write_text("open('pwned', 'w')"),
    "pickle": pickled,
    "with space $(touch pwned)": corrupt,
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """What is said of a run for each damaged model folder; all of them are told at once."""
    place = FaultPlace(tmp_path_factory.mktemp("refused"))
    real = {"rounds": 1, "engine": {"name": "transformers"}}
    runs = {"sound": {**real, "model": {"path": "sound"}}, "hub": {**real, "model": {"path": "HuggingFaceTB/SmolLM2"}}}
    for name in ("sound", "{sound}"):
        model_folder(place.folder / name)
    copy(place.folder / "config/seeds/isheep.jsonl", place.folder / "{seeds}.jsonl")
    runs["braces"] = {**real, "model": {"path": "{sound}"}, "seeds": {"path": "{seeds}.jsonl"}}
    for number, (name, damage) in enumerate(FOLDERS.items()):
        model_folder(place.folder / name, damage)
        runs[f"r{number}"] = {**real, "model": {"path": name}}
    place.configure(runs)
    said = place.fail()
    assert not (place.folder / "results").exists() and not (place.folder / "logs").exists()
    assert not (place.folder / "pwned").exists()
    assert f"{len(FOLDERS) + 3} problems" in said and "runs.sound" not in said
    return said


def test_corrupt_weight_shard(refused):
    assert re.search(r"corrupt_shard: 1 problem\s+model-00002-of-00002\.safetensors: is \d+ bytes, but its", refused)


def test_missing_weight_shard(refused):
    assert re.search(r"missing_shard: 1 problem\s+model-00002-of-00002\.safetensors: .* it is missing", refused)


def test_missing_tokenizer(refused):
    assert re.search(r"missing_tokenizer: 1 problem\s+tokenizer\.json: there is no tokenizer", refused)


def test_remote_code(refused):
    assert re.search(r"remote_code: 1 problem\s+modeling_own\.py: .*model\.trust_remote_code: true", refused)


def test_pickled_weights(refused):
    assert re.search(r"pickle: 1 problem\s+pytorch_model\.bin: .*model\.allow_pickle: true", refused)


def test_model_path_with_spaces_and_a_command(refused):
    assert "with space $(touch pwned): 1 problem" in refused


def test_braces_in_a_path(refused):
    for path in ("{sound}", "{seeds}.jsonl"):
        assert f"runs.braces: {path}: Snakemake takes braces in a path for a wildcard; rename it" in refused


def test_hub_id_given_as_a_path(refused):
    assert "there is no folder HuggingFaceTB/SmolLM2; for a model of the Hugging Face hub write model.hub" in refused


def test_no_network(place):
    model = {"hub": "nobody/no-such-model"}
    place.configure({"a": {"rounds": 1, "engine": {"name": "transformers"}, "model": model}})
    said = place.fail(HF_HUB_OFFLINE="1")
    assert "model.hub: nobody/no-such-model cannot be fetched" in said
    assert "hf download nobody/no-such-model" in said and "model.path: FOLDER" in said
    assert not list(place.folder.glob("models/nobody*"))


def test_unknown_keys_wrong_types_and_contradictions(place):
    wrong = small(rouns=3)
    wrong["prompts"] |= {"rows": "many"}
    place.configure({"a": wrong, "b": small(select={"kind": "threshold", "above": {"quality": 11}})}, shard={})
    said = place.fail()
    assert "4 problems" in said
    for words in (
        "runs.a.rouns: unknown key; did you mean 'rounds'?",
        "runs.a.prompts.rows",
        "quality above 11",
        "shard",
    ):
        assert words in said
    assert not (place.folder / "results").exists()


TASK = {"id": "one", "instruction": "Name three rivers.", "input": "", "output": "Rhine, Po, Don"}
FIRST = json.dumps(TASK).encode() + b"\n"


def second(**changes):
    """Return a file of two tasks, the second with other keys."""
    return FIRST + json.dumps(TASK | {"id": "two", "instruction": "Name a lake."} | changes).encode()


# Seed files, and what is said of them: nothing of the last three.
SEEDS = {
    "bad_json": (FIRST + b'{"id": "two", "instruction": "Name', ":2: not JSON"),
    "wrong_type": (second(instruction=3), ":2: instruction must be a string"),
    "missing_key": (FIRST + b'{"id": "two", "instruction": "Name a lake.", "input": ""}', ":2: the key 'output' is"),
    "duplicate_id": (second(id="one"), ":2: the id 'one' is also at"),
    "surrogate": (second(output="\ud83d!"), ":2: output holds half a character"),
    "nul_bytes": (FIRST + bytes(512), ":2: holds a NUL character"),
    "empty": (b"", ": holds no seed task"),
    "megabyte": (second(input="a " * 500_000), None),
    "bom": (b"\xef\xbb\xbf" + FIRST, None),
    "crlf": (second().replace(b"\n", b"\r\n"), None),
}


def test_broken_lines_in_seeds(place):
    settings = small()
    settings["prompts"]["shots"] = 1
    for name, (content, _) in SEEDS.items():
        (place.folder / f"{name}.jsonl").write_bytes(content)
    place.configure({name: settings | {"seeds": {"path": f"{name}.jsonl"}} for name in SEEDS})
    said = place.fail()
    assert "7 problems" in said
    for name, (_, words) in SEEDS.items():
        assert f"{name}.jsonl{words}" in said if words else f"runs.{name}:" not in said
    assert not (place.folder / "results").exists() and not (place.folder / "logs").exists()


def test_wrong_number_of_gpus(place):
    asked = {"generate": {"gpus": 1}}
    place.configure({"a": small(resources=asked)})
    for visible, seen in (("0,1", 2), ("", 0)):
        # The fake engine asks for none of its own; it counts them in SLURM jobs.
        said = place.fail("--until", "generate_prompts", CUDA_VISIBLE_DEVICES=visible, SLURM_JOB_ID="1")
        assert f"asked for 1 GPU, the job sees {seen} (CUDA_VISIBLE_DEVICES is '{visible}')" in said
        assert place.entries("generate_prompts") == 0


def test_dry_run_where_torch_and_vllm_are_not_installed(place):
    said = place.finish("--dry-run", FAULT_HIDDEN=HEAVY)
    assert "merge_model" in said and "generate_prompts" in said
    hidden = {**os.environ, "PYTHONPATH": str(HOOK), "FAULT_HIDDEN": HEAVY}
    for name in ("torch", "vllm"):
        assert subprocess.run([sys.executable, "-c", f"import {name}"], env=hidden, capture_output=True).returncode == 1
