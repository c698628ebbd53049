"""The probe on real weights: the numbers of transformers asked directly, and equal bytes when it is killed."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workplace import GPUS

from isheep.data.rows import read_rows, write_rows

SYSTEM = "You are a helpful assistant."
PAIRS = [
    ("What is the capital of France?", "", "The capital of France is Paris."),
    ("Translate into French.", "Good morning", "Bonjour"),
    ("Write a line about rain.", "", "Rain taps the roof all night; by morning the garden has drunk its fill."),
    ("Name two prime numbers.", "", "2 and 3"),
    ("Say something that nobody expects.", "", "Zebra quorum lattice, forty-nine purple verbs, inverted tea."),
    ("Repeat the word.", "echo", "echo <|im_end|> echo"),
]
# What stage probe_data does, in a process of its own that can be killed.
PROBE = """
import sys
from pathlib import Path
from isheep.serving import engines
from isheep.config.engine import Engine
from isheep.config.model import Model
from isheep.health import probe, readings
from isheep.runner.dispatch import Dispatcher
from isheep.runner.journal import Journal
from isheep.serving.embedding import engine_for
from isheep.data.rows import read_rows

rows, folder, work, out = map(Path, sys.argv[1:5])
settings = engine_for(Engine(name="vllm", context_length=256))
model = Model(path=str(folder), system="You are a helpful assistant.")
template = engines.load_template(settings, model, folder)
rows = list(read_rows(rows))
with Journal(work, "0" * 64, "stage") as journal:
    load = lambda: probe.Prober(engines.load(settings, model, folder, "", threads=1, gpus=int(sys.argv[5])))
    results = Dispatcher(journal, load).send(probe.request(row, template, None) for row in rows)
found = probe.gather(rows, [results[row["id"]] for row in rows])
readings.write(out / "probe.jsonl", out / "probe.safetensors", found)
"""


def start(place: Path, rows: Path, model: Path) -> subprocess.Popen:
    scripts = str(Path(__file__).parents[2] / "scripts")
    command = [sys.executable, "-c", PROBE, str(rows), str(model), str(place / "work"), str(place), str(GPUS)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": scripts}, start_new_session=True)


def entries(place: Path) -> int:
    journal = place / "work" / "stage.jsonl"
    return max(journal.read_bytes().count(b"\n") - 1, 0) if journal.exists() else 0


@pytest.mark.timeout(900)
def test_a_killed_probe_gives_the_bytes_of_an_undisturbed_one_and_the_numbers_of_transformers(tmp_path, smollm2):
    data = [{"id": f"r{i}", "instruction": a, "input": b, "output": c} for i, (a, b, c) in enumerate(PAIRS)]
    write_rows(tmp_path / "rows.jsonl", data)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole, tmp_path / "rows.jsonl", smollm2).wait() == 0

    running = start(killed, tmp_path / "rows.jsonl", smollm2)
    while running.poll() is None and entries(killed) < 2:
        time.sleep(0.002)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert 2 <= entries(killed) < len(data) and not (killed / "probe.jsonl").exists()
    assert start(killed, tmp_path / "rows.jsonl", smollm2).wait() == 0
    for name in ("probe.jsonl", "probe.safetensors"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()

    told = list(read_rows(whole / "probe.jsonl"))
    expected = oracle(smollm2, data)
    for row, (log_likelihood, tokens) in zip(told, expected, strict=True):
        assert row["tokens"] == tokens
        assert row["log_likelihood"] == pytest.approx(log_likelihood, rel=1e-4)
    nats = -math.fsum(row["log_likelihood"] for row in told)
    perplexity = math.exp(nats / sum(row["tokens"] for row in told))
    assert 1 < perplexity < 1000
    per_token = [-row["log_likelihood"] / row["tokens"] for row in told]
    assert per_token[0] < 1 < 3 < per_token[4]


def oracle(folder: Path, data: list[dict]) -> list[tuple[float, int]]:
    """Return log-likelihood and number of tokens of each output, by one forward pass over prompt and output."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    found = []
    for row in data:
        asked = f"{row['instruction']}\n\n{row['input']}" if row["input"] else row["instruction"]
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        before = tokenizer(text, add_special_tokens=False).input_ids
        answer = row["output"].replace("<|im_end|>", "<\u200b|im_end|>")
        after = tokenizer(answer, add_special_tokens=False).input_ids
        with torch.inference_mode():
            logits = model(torch.tensor([before + after])).logits[0, len(before) - 1 : -1]
        chances = torch.log_softmax(logits.double(), dim=-1)
        found.append((chances[range(len(after)), after].sum().item(), len(after)))
    return found
