"""Every tiny model of the zoo through a round: encoded, checked, trained, merged, loaded again, run, scored."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import model_zoo as zoo
import pytest

from isheep.config.engine import Engine as EngineSettings
from isheep.config.model import Model
from isheep.config.train import Lora, Merge, Train
from isheep.serving import chat, engines, preflight
from isheep.serving.agreement import check_same
from isheep.serving.engines.base import Request, Sampling, ScoreRequest
from isheep.serving.engines.tokens import encode_continuation, encode_prompt
from isheep.training import encode, lora, merge

ANSWERS = ("The Rhine.", "Yes, it is 10.\n\nAnd 2.", "Grüße aus Köln", "def add(a, b):\n    return a + b")
ROWS = [
    {"id": f"r{number}", "instruction": f"Name river {number}.", "input": "", "output": answer}
    for number, answer in enumerate(ANSWERS)
]
ON_VLLM = ("llama", "qwen2", "gemma3_text")


def train_settings(entry):
    return Train(
        lora=Lora(rank=4, alpha=8, dropout=0, target_modules=entry.modules),
        **{"epochs": 1, "learning_rate": 1e-2, "batch_size": 4, "micro_batch_size": 2, "max_length": 200},
        heldout_share=0,
    )


@pytest.mark.parametrize("entry", zoo.chosen(), ids=lambda entry: entry.name)
def test_an_architecture_goes_through_a_round(entry, tmp_path, reached, older):
    stages = reached.setdefault((entry.name, entry.kind, entry.template), {})
    folder, adapter, merged = (tmp_path / name for name in ("model", "adapter", "merged"))
    model, settings = Model(path=str(folder)), train_settings(entry)
    zoo.save(entry, folder)

    stages["encode"] = encoded_as_joined(folder, model)
    preflight.check_loaded(folder, model, 256, settings)
    stages["build"] = "yes"
    report = lora.train(settings, model, folder, ROWS, adapter, tmp_path / "work", 1, 1)
    assert report["loss"][0]["loss"] == pytest.approx(plain_loss(folder, model), abs=2e-5)
    stages["train"] = "yes"
    merging = merge.merge(Merge(probe_prompts=2, probe_tokens=8), model, folder, adapter, merged, ROWS, 1)
    assert merging["logits_difference"] < 1e-4 and merging["probes"] == 2
    check_same({str(each): chat.load_tokenizer(each, model) for each in (folder, adapter, merged)})
    stages["merge"] = "yes"
    stages["load 4.57"] = loads_in_older(older, merged, model) if older else ""
    texts = run("transformers", merged, model)
    stages["transformers"] = "yes"
    if entry.name in ON_VLLM:
        assert run("vllm", merged, model) == texts
        stages["vllm"] = "yes"


def encoded_as_joined(folder, model):
    template = chat.load_template(folder, model)
    end = template.tokenizer.convert_tokens_to_ids(template.end_of_turn)
    for row in ROWS:
        encoded = encode.encode_row(template, row, sys.maxsize)
        prompt = template.render(chat.user(row["instruction"]))
        joined = template.tokenizer(prompt.text + template.seam + row["output"], add_special_tokens=False).input_ids
        assert encoded.input_ids == [*joined, end]
        labels = [label for label in encoded.labels if label != encode.IGNORED]
        assert template.tokenizer.decode(labels[:-1]).strip() == row["output"] and labels[-1] == end
    return "yes"


def plain_loss(folder, model):
    """Return the mean loss over the answers' tokens by torch alone."""
    import torch

    network, template = lora.load_model(folder, model, "float32").eval(), chat.load_template(folder, model)
    nats, tokens = 0.0, 0
    for row in ROWS:
        encoded = encode.encode_row(template, row, 200)
        with torch.no_grad():
            logits = network(input_ids=torch.tensor([encoded.input_ids]), use_cache=False).logits[0].double()
        rows = torch.log_softmax(logits, dim=-1)[len(encoded.prompt) - 1 : -1]
        nats -= sum(rows[place, token].item() for place, token in enumerate(encoded.answer))
        tokens += len(encoded.answer)
    return nats / tokens


def run(name, folder, model):
    """Return the greedy texts of an engine, having held its scores against a plain forward pass."""
    settings = EngineSettings(name=name, context_length=256, max_num_seqs=4, cpu_cache_gib=0.1)
    with engines.load(settings, model, folder, "zoo", threads=1, gpus=0) as engine:
        prompts = [engine.template.render(chat.user(row["instruction"])) for row in ROWS]
        greedy, drawn = Sampling(0.0, 1.0, 8), Sampling(1.0, 0.9, 8)
        asked = [Request(str(number), prompt, greedy, 1) for number, prompt in enumerate(prompts)]
        texts = {done.id: done.text for done in engine.complete(asked)}
        (one,), (two,) = (list(engine.complete([Request("drawn", prompts[0], drawn, 5)])) for _ in range(2))
        assert one == two
        continuations = (" 1", " 10", "The Rhine, yes.")
        (score,) = engine.score([ScoreRequest("", prompts[0], continuations)])
        if name == "transformers":
            assert score.log_likelihoods == pytest.approx(read(folder, model, prompts[0], continuations), abs=1e-3)
    assert all(math.isfinite(value) for value in score.log_likelihoods)
    return texts


def read(folder, model, prompt, continuations):
    import torch

    network, tokenizer = lora.load_model(folder, model, "float32").eval(), chat.load_tokenizer(folder, model)
    before, sums = encode_prompt(tokenizer, prompt), []
    for text in continuations:
        ids = encode_continuation(tokenizer, text, prompt.text)
        with torch.no_grad():
            logits = network(input_ids=torch.tensor([before + ids]), use_cache=False).logits[0].double()
        rows = torch.log_softmax(logits, dim=-1)[len(before) - 1 : -1]
        sums.append(sum(rows[place, token].item() for place, token in enumerate(ids)))
    return sums


def loads_in_older(older, folder, model):
    import torch
    from transformers import AutoModelForCausalLM

    model_type = json.loads((folder / "config.json").read_text())["model_type"]
    known = Path(os.environ["ISHEEP_TRANSFORMERS4"]) / "transformers" / "models" / model_type.removesuffix("_text")
    if not known.is_dir():
        return "unknown"
    text, ids = "Name a river.\nGrüße", list(range(5, 45))
    tokens, logits = older(folder, ids, text)
    now = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = now(torch.tensor([ids])).logits[0, -1]
    assert tokens == chat.load_tokenizer(folder, model)(text).input_ids
    assert (expected - torch.tensor(logits)).abs().max() < 1e-4
    return "yes"


MIXTURE = next(entry for entry in zoo.ZOO if entry.name == "mixtral")
of_its_third = pytest.mark.skipif(MIXTURE not in zoo.chosen(), reason="mixtral is in another third")


def trained(folder, name):
    lora.train(train_settings(MIXTURE), Model(path=str(folder)), folder, ROWS, folder / name, folder / "work", 1, 1)
    return {file.name: file.read_bytes() for file in (folder / name).iterdir()}


@of_its_third
def test_a_mixtures_adapter_has_the_same_bytes_whatever_the_hash_seed(tmp_path):
    folder = zoo.save(MIXTURE, tmp_path / "model")
    code = "import pathlib, sys, test_zoo; test_zoo.trained(pathlib.Path(sys.argv[1]), 'elsewhere')"
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), *sys.path]))
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code, str(folder)], env=environment, check=True)
    made = {file.name: file.read_bytes() for file in (folder / "elsewhere").iterdir()}
    assert made == trained(folder, "here")
    assert len(json.loads(made["adapter_config.json"])["target_parameters"]) > 1


@of_its_third
def test_a_mixtures_load_is_balanced_by_the_loss_when_its_config_says_so(tmp_path):
    balanced = zoo.Entry("mixtral", "prepend", "inst", {**MIXTURE.changes, "output_router_logits": True})
    folder = zoo.save(balanced, tmp_path / "model")
    model = Model(path=str(folder))
    report = lora.train(train_settings(MIXTURE), model, folder, ROWS, tmp_path / "adapter", tmp_path / "work", 1, 1)
    # The loss that balances four experts, two at a time, is 2 for an even load, and its weight 0.001.
    assert report["loss"][0]["loss"] - plain_loss(folder, model) == pytest.approx(0.002, rel=0.2)


def test_each_third_of_the_zoo_is_a_third():
    sizes = [sum(entry.name in names for entry in zoo.ZOO) for names in thirds()]
    assert sum(sizes) == len(zoo.ZOO) and min(sizes) >= len(zoo.ZOO) // 5


def thirds():
    with pytest.MonkeyPatch.context() as patch:
        for third in "012":
            patch.setenv("ISHEEP_THIRD", third)
            yield {entry.name for entry in zoo.chosen()}
