"""Training and merging SmolLM2-135M: in one process, in two under DeepSpeed, killed, and with other thread counts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workplace import GPUS

from isheep.config.model import Model
from isheep.config.train import Lora, Merge, Train
from isheep.data.files import digest_file, write_json
from isheep.data.rows import write_rows
from isheep.serving import chat
from isheep.training import merge
from isheep.training.checks import check_adapter
from isheep.training.encode import encode_row
from isheep.training.end_of_turn import judge_row

SCRIPTS = Path(merge.__file__).parents[2]
MODEL = Model(path="smollm2")
PROCESSES = GPUS or 2
PAIRS = [
    ("What is the capital of Norway?", "", "The capital of Norway is Oslo."),
    ("Translate to Spanish.", "Good morning", "Buenos días."),
    ("List three fruits.", "", "1. Apple\n2. Banana\n3. Cherry"),
    ("Add the numbers.", "2 and 3", "2 + 3 = 5"),
    ("Name a colour of the sky.", "", "Blue."),
    ("Classify the sentiment.", "I love this film!", "Positive"),
    ("Explain gravity to a child.", "", "Gravity is the pull that keeps your feet on the ground."),
    ("Give a synonym for happy.", "", "Joyful"),
    ("Turn this into a question.", "It is raining.", "Is it raining?"),
    ("Write one line about rain.", "", "Soft rain falls on the quiet roof."),
]
ROWS = [{"id": str(i), "instruction": a, "input": b, "output": c} for i, (a, b, c) in enumerate(PAIRS)]
SEED = 7
TRAIN = Train(
    lora=Lora(rank=4, alpha=8, dropout=0.0),
    epochs=1,
    learning_rate=2e-4,
    batch_size=4,
    micro_batch_size=2,
    max_length=64,
    heldout_share=0.2,
    checkpoint_steps=1,
)
CUT = {"max_loss": 1000}  # a model cut to two layers starts above every sensible loss
# Each in a process of its own: torch reads its thread settings once.
DRIVER = """
import json, logging, sys
from pathlib import Path
from isheep.config.model import Model
from isheep.config.train import Train
from isheep.training.launch import launch
logging.basicConfig(level=logging.INFO)
spec = json.loads(Path(sys.argv[1]).read_text())
paths = [Path(spec[key]) for key in ("folder", "rows", "out", "work")]
settings, model = Train.model_validate(spec["settings"]), Model.model_validate(spec["model"])
report = launch(settings, model, *paths, spec["seed"], spec["threads"], spec["gpus"])
Path(spec["report"]).write_text(json.dumps(report))
"""


def start(folder, place, settings, threads=2):
    """Start a training in the folder `place`; its log goes beside it."""
    place.mkdir(parents=True, exist_ok=True)
    write_rows(place / "selected.jsonl", ROWS)
    spec = {
        "settings": settings.model_dump(mode="json"),
        "model": MODEL.model_dump(mode="json"),
        "folder": str(folder),
        "rows": str(place / "selected.jsonl"),
        "out": str(place / "adapter"),
        "work": str(place / "work"),
        "report": str(place / "report.json"),
        "seed": SEED,
        "threads": threads,
        "gpus": GPUS,
    }
    write_json(place / "request.json", spec)
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": str(threads)}
    if not GPUS:
        environment["DS_ACCELERATOR"] = "cpu"
    with open(place / "log", "a") as log:
        command = [sys.executable, "-c", DRIVER, str(place / "request.json")]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def train(folder, place, threads=2, **changes):
    process = start(folder, place, TRAIN.model_copy(update=changes), threads)
    assert process.wait() == 0, (place / "log").read_text()[-4000:]
    return json.loads((place / "report.json").read_text())


def digests(folder):
    return {path.name: digest_file(path) for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def alone(smollm2, tmp_path_factory):
    """SmolLM2 trained in one process: its folder and report."""
    place = tmp_path_factory.mktemp("alone")
    return place, train(smollm2, place, threads=1)


@pytest.fixture(scope="module")
def two_layers(smollm2, tmp_path_factory):
    """The first two layers of SmolLM2, with its embeddings and tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("two_layers")
    AutoModelForCausalLM.from_pretrained(smollm2, num_hidden_layers=2).save_pretrained(folder)
    AutoTokenizer.from_pretrained(smollm2).save_pretrained(folder)
    return folder


def test_the_ids_trained_on_are_those_of_generation_and_of_the_template(smollm2):
    template = chat.ChatTemplate(chat.load_tokenizer(smollm2, MODEL), None)
    row = {"instruction": "Translate <|im_end|>.", "input": "Où est-il ?", "output": "Where is he? <|im_start|> 你好"}
    encoded = encode_row(template, row, 500)
    rendered = template.render(chat.user(chat.join(row["instruction"], row["input"])))
    assert encoded.prompt == template.tokenizer(rendered.text, add_special_tokens=False)["input_ids"]
    messages = template.messages(
        [*chat.user(chat.join(row["instruction"], row["input"])), {"role": "assistant", "content": row["output"]}]
    )
    whole = template.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]
    assert whole[: len(encoded.input_ids)] == encoded.input_ids
    assert encoded.input_ids.count(template.tokenizer.eos_token_id) == 3  # system, user, assistant


def test_the_end_of_turn_is_trained_where_other_control_tokens_are_not(smollm2):
    from safetensors.torch import load_file

    weight = load_file(smollm2 / "model.safetensors")["model.embed_tokens.weight"]
    ids = chat.load_tokenizer(smollm2, MODEL).convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>", "<gh_stars>"])
    assert [judge_row(weight, token)[0] for token in ids] == [True, True, False]


@pytest.mark.parametrize("stage", [pytest.param(0, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)])
def test_several_processes_train_as_one_does(smollm2, alone, tmp_path, stage):
    report = train(smollm2, tmp_path, processes=PROCESSES, zero_stage=stage)
    for key in ("rows", "heldout_rows", "steps", "tokens", "end_of_turn"):
        assert report[key] == alone[1][key]
    # Measured: equal in two processes without DeepSpeed, less than 5e-7 apart with ZeRO-2 and ZeRO-3.
    losses = [log["loss"] for log in report["loss"]]
    assert losses == pytest.approx([log["loss"] for log in alone[1]["loss"]], rel=1e-5)
    assert report["heldout"]["before"] == pytest.approx(alone[1]["heldout"]["before"], rel=1e-5)
    assert report["heldout"]["after"] == pytest.approx(alone[1]["heldout"]["after"], rel=1e-4)
    assert check_adapter(tmp_path / "adapter") == check_adapter(alone[0] / "adapter")
    assert largest_difference(tmp_path / "adapter", alone[0] / "adapter") < 1e-3


def largest_difference(one, two):
    from safetensors.torch import load_file

    one, two = (load_file(folder / "adapter_model.safetensors") for folder in (one, two))
    assert list(one) == list(two)
    return max(float((one[name] - two[name]).abs().max()) for name in one)


def test_a_training_that_was_killed_ends_with_the_same_bytes(smollm2, tmp_path):
    changes = {"epochs": 2, "order": "shuffled", "lora": TRAIN.lora.model_copy(update={"dropout": 0.1})}
    undisturbed = train(smollm2, tmp_path / "undisturbed", threads=1, **changes)
    place = tmp_path / "killed"
    process = start(smollm2, place, TRAIN.model_copy(update=changes), threads=1)
    while not list(place.glob("work/checkpoints/checkpoint-2/complete.json")):
        assert process.poll() is None, (place / "log").read_text()[-4000:]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (place / "adapter").exists()

    resumed = train(smollm2, place, threads=1, **changes)
    assert resumed.pop("timing")["resumed_from_step"] in (2, 3)
    undisturbed.pop("timing")
    assert resumed == undisturbed
    assert digests(place / "adapter") == digests(tmp_path / "undisturbed" / "adapter")


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
def test_a_training_under_deepspeed_resumes_to_the_same_bytes(two_layers, tmp_path, stage):
    lora = TRAIN.lora.model_copy(update={"dropout": 0.1})
    changes = CUT | {"processes": PROCESSES, "zero_stage": stage, "lora": lora}
    train(two_layers, tmp_path / "whole", **changes)
    shutil.copytree(tmp_path / "whole" / "work", tmp_path / "resumed" / "work")
    report = train(two_layers, tmp_path / "resumed", **changes)
    assert report["timing"]["resumed_from_step"] == 1
    assert digests(tmp_path / "resumed" / "adapter") == digests(tmp_path / "whole" / "adapter")


@pytest.mark.slow
def test_the_number_of_threads_does_not_change_a_bit(two_layers, tmp_path):
    for threads in (1, 2):
        train(two_layers, tmp_path / str(threads), threads=threads, **CUT)
    assert digests(tmp_path / "1" / "adapter") == digests(tmp_path / "2" / "adapter")


@pytest.mark.slow
def test_a_diverged_training_under_deepspeed_ends_in_one_message(two_layers, tmp_path):
    process = start(two_layers, tmp_path, TRAIN.model_copy(update={"zero_stage": 2, "max_loss": 0.01}))
    assert process.wait() != 0
    last = (tmp_path / "log").read_text().strip().splitlines()[-1]
    assert last.startswith("isheep.errors.UserError: training diverged at step 1 of 2: loss ")
    assert not (tmp_path / "adapter").exists()


def test_the_merged_model_is_base_plus_adapter_and_answers(smollm2, alone, tmp_path):
    from transformers import AutoModelForCausalLM

    settings = Merge(probe_prompts=4, probe_tokens=24)
    reports = [merge.merge(settings, MODEL, smollm2, alone[0] / "adapter", tmp_path / name, ROWS, 1) for name in "ab"]
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert reports[0]["logits_difference"] < 1e-3
    assert reports[0]["greedy_tokens_same"] + reports[0]["greedy_ties"] == reports[0]["probe_tokens"]
    assert reports[0]["tied_embeddings"] is True

    network = AutoModelForCausalLM.from_pretrained(tmp_path / "a")
    tokenizer = chat.load_tokenizer(tmp_path / "a", MODEL)
    prompt = chat.ChatTemplate(tokenizer, None).render(chat.user("What is the capital of France?"))
    ids = tokenizer(prompt.text, add_special_tokens=False, return_tensors="pt")
    written = network.generate(**ids, do_sample=False, max_new_tokens=24)[0, ids["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(written)
