"""Proof on real weights: a run comes out again from its manifest, its models load, another base model is noticed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from workplace import GPUS, Workplace

from isheep.proof.results import Results, read_sealed
from isheep.proof.verify import verify

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
ROUND = {
    "preset": "smollm2-135m-instruct",
    "recipe": "i_sheep",
    "rounds": 1,
    # As many threads as in the reproduction, which takes the preset's: in this engine they move last digits.
    "resources": {stage: {"gpus": GPUS} for stage in ("generate", "assess", "train")},
    "prompts": {
        "rows": 4,
        "shots": 2,
        "tasks_per_request": 2,
        "sampling": {"temperature": 0.6, "max_tokens": 96},
        "max_requests": 8,
        "on_shortfall": "continue",
        "rules": ["none"],
    },
    "outputs": {"sampling": {"temperature": 0.7, "max_tokens": 16}, "rules": ["none"]},
    "assess": {"discrimination": {"pairs": 2}},
    "select": {"kind": "none", "floor": 2},
    "train": {"epochs": 1, "batch_size": 2, "micro_batch_size": 1, "max_length": 96, "heldout_share": 0.25},
    "merge": {"probe_prompts": 1, "probe_tokens": 8},
    "evaluation": {
        "benchmarks": {
            "heldout": {"limit": 2, "max_tokens": 8},
            "constraints": None,
            "turns": {"kind": "mt_bench", "path": "turns.jsonl", "max_tokens": 8},
        },
        "judge": {"kind": "model", "calibration": {"limit": 1}},
    },
}
QUESTION = {"question_id": 1, "category": "writing", "turns": ["Describe a lamp.", "Now as a haiku."]}


@pytest.fixture(scope="module")
def finished(smollm2, tmp_path_factory):
    """One round, measured and judged, with the base model in a folder of the user's."""
    place = Workplace(tmp_path_factory.mktemp("finished"))
    (place.folder / "turns.jsonl").write_text(json.dumps(QUESTION) + "\n")
    base = place.folder / "base"
    shutil.copytree(smollm2, base)
    settings = {**ROUND, "model": {"gguf": None, "path": str(base)}, "engine": {"name": "transformers"}}
    place.configure({"a": settings})
    place.snakemake()
    place.snakemake("publish")
    return place


def test_the_run_comes_out_again_in_another_folder_with_equal_bytes(finished, smollm2, tmp_path):
    (tmp_path / "here").mkdir()
    place = Workplace(tmp_path / "here")
    manifest = finished.folder / "results/a/manifest.json"
    command = place.command("reproduce", "--config", f"manifest={manifest}", f"model={smollm2}")[:-2]
    done = subprocess.run(command, cwd=place.folder, text=True, capture_output=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    compared = json.loads((place.folder / "reproductions/a/comparison.json").read_text())
    assert {one["artifact"]: one["verdict"] for one in compared["artifacts"] if one["verdict"] != "identical"} == {}
    assert {"iter_1/evaluation/scores.json", "iter_1/evaluation/judgements.jsonl", "d_0/health.json"} <= {
        one["artifact"] for one in compared["artifacts"]
    }
    again = read_sealed(place.folder / "reproductions/a/results/a/manifest.json")["made"]
    assert again["artifacts"] == read_sealed(manifest)["made"]["artifacts"]


def test_the_published_model_and_its_adapter_load_and_are_the_same_model(finished, smollm2):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = finished.folder / "results/a/published/iter_1"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = [{"role": "user", "content": "Name a colour."}]
    ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        merged = AutoModelForCausalLM.from_pretrained(folder)(**ids).logits
        base = AutoModelForCausalLM.from_pretrained(smollm2)
        adapted = PeftModel.from_pretrained(base, str(folder / "adapter"))(**ids).logits
    assert torch.allclose(merged, adapted, atol=1e-3)


def test_the_published_rows_are_split_as_in_the_training(finished):
    report = json.loads((finished.folder / "results/a/iter_1/training.json").read_text())
    folder = finished.folder / "results/a/published/d_0/jsonl/messages"
    counts = {file.stem: len(file.read_text().splitlines()) for file in folder.iterdir()}
    assert counts == {
        "train": report["rows"],
        **({"heldout": report["heldout_rows"]} if report["heldout_rows"] else {}),
    }


def test_another_base_model_in_the_same_folder_is_noticed(finished):
    base = finished.folder / "base"
    results = Results(finished.folder / "results/a")
    assert verify(results, threads=2, base=base)[0].ok
    weights = base / "model.safetensors"
    kept = weights.rename(base.parent / "kept")
    shutil.copy(finished.folder / "results/a/iter_1/model/model.safetensors", weights)
    found = verify(results, threads=2, base=base)[0].findings
    kept.replace(weights)
    assert [(finding.kind, finding.artifact) for finding in found] == [("changed_model", "base/")]
    assert "results/a/d_0/prompts.jsonl" in found[0].downstream


def test_records_of_real_stages_tell_nothing_of_this_machine(finished):
    private = [str(finished.folder), str(Path.home())]
    folder = finished.folder / "results/a"
    texts = [*folder.rglob("*.json"), *folder.rglob("*.jsonl"), *folder.rglob("*.md"), *folder.rglob("*.jinja")]
    assert len(texts) > 30
    for file in texts:
        if ".work" not in file.parts:
            assert not [word for word in private if len(word) > 5 and word in file.read_text()], file
