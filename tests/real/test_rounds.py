"""One short round on real weights, per engine: equal bytes however it is cut and whatever kills it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from copy import deepcopy
from pathlib import Path

import pytest
from workplace import GPUS, ROUND, Workplace


def settings(engine: str, model: Path, **changes: object) -> dict:
    described = deepcopy(ROUND)
    described["model"] = {"gguf": None, "path": str(model)}
    described["engine"] = {"name": engine, "batch_invariant": GPUS > 0, "gpu_memory_utilization": 0.2, **changes}
    return described


def entries(place: Workplace) -> int:
    journals = place.folder.glob("results/a/d_0/.work/generate_outputs/*/*.jsonl")
    return sum(max(file.read_bytes().count(b"\n") - 1, 0) for file in journals)


def kill_while_answering(place: Workplace) -> None:
    """Start the round; kill -9 driver and jobs when the first answers are in the journal."""
    running = subprocess.Popen(
        place.command(), cwd=place.folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 600
    while not entries(place) and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert entries(place)
    place.snakemake("--unlock")


def answer(folder: Path, question: str) -> str:
    """Load a merged model as anybody would, and ask it."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = [{"role": "user", "content": question}]
    ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    done = AutoModelForCausalLM.from_pretrained(folder).generate(**ids, max_new_tokens=24, do_sample=False)
    return tokenizer.decode(done[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    ("engine", "otherwise"),
    [("transformers", {}), ("vllm", {"max_num_seqs": 3, "prefix_caching": False})],
)
def test_a_round_cut_in_shards_and_killed_gives_the_bytes_of_an_undisturbed_one(tmp_path, smollm2, engine, otherwise):
    places = []
    for name in ("undisturbed", "disturbed"):
        (tmp_path / name).mkdir()
        places.append(Workplace(tmp_path / name))
    undisturbed, disturbed = places
    undisturbed.configure({"a": settings(engine, smollm2)})
    undisturbed.snakemake()
    disturbed.configure({"a": settings(engine, smollm2, **otherwise)}, shards={"generate_outputs": 2})
    kill_while_answering(disturbed)
    disturbed.snakemake()

    expected, got = undisturbed.hashes(), disturbed.hashes()
    assert {name: got.get(name) for name in expected} == expected
    assert {"results/a/d_0/evaluated.jsonl", "results/a/iter_1/model/model.safetensors"} <= set(expected)
    assert "results/a/iter_1/adapter/adapter_model.safetensors" in expected
    assert "Paris" in answer(undisturbed.folder / "results/a/iter_1/model", "What is the capital of France?")
