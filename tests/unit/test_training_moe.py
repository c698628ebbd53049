"""Mixtures of experts and recurrent models: what libraries add to their loss, and write in another order each time."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import model_zoo
import numpy as np
import pytest
import tokenizer_zoo
from safetensors.numpy import save_file

from isheep.config.model import Model
from isheep.config.train import Lora, Train
from isheep.errors import UserError
from isheep.training import checks, lora, trainer

ROWS = [{"id": id, "instruction": "Name a river.", "input": "", "output": f"The Rhine {id}."} for id in "abcd"]


def test_an_adapter_has_the_same_bytes_in_whatever_order_its_layers_are_named(tmp_path):
    tokenizer, made = tokenizer_zoo.tokenizer("byte_level"), set()
    for number, names in enumerate(itertools.permutations(("gate_up_proj", "down_proj", "gate.weight"))):
        saved, out = tmp_path / f"saved{number}", tmp_path / f"out{number}"
        saved.mkdir()
        save_file({"a.lora_B.weight": np.ones((2, 2), np.float32)}, saved / checks.ADAPTER_WEIGHTS)
        config = {"target_parameters": names, "target_modules": names, "base_model_name_or_path": str(saved)}
        (saved / checks.ADAPTER_CONFIG).write_text(json.dumps(config))
        lora.save_adapter(saved, out, tokenizer, "iter_0")
        made.add((out / checks.ADAPTER_CONFIG).read_bytes())
    (content,) = made
    assert json.loads(content)["target_parameters"] == ["down_proj", "gate.weight", "gate_up_proj"]


@pytest.mark.parametrize(("said", "weight"), [(False, 0.0), (None, 0.0), (True, 0.001)])
def test_a_load_is_balanced_by_the_loss_only_where_the_config_says_so(said, weight):
    arguments, config = SimpleNamespace(router_aux_loss_coef=0.001), SimpleNamespace()
    if said is not None:
        config.output_router_logits = said
    trainer.agree_with_config(arguments, config)
    assert arguments.router_aux_loss_coef == weight


def test_a_recurrent_models_cap_is_in_the_loss_that_is_trained_and_without_it_training_is_refused(
    tmp_path, monkeypatch
):
    import torch

    entry = next(entry for entry in model_zoo.ZOO if entry.name == "recurrent_gemma")
    folder = model_zoo.save(entry, tmp_path / "model")
    model = Model(path=str(folder))
    network = lora.load_model(folder, model, "float32")
    with torch.no_grad():  # logits so large that the cap bites
        network.get_input_embeddings().weight.mul_(30)
    network.save_pretrained(folder)
    assert network.config.logits_soft_cap == 2.0
    one = {"epochs": 1, "batch_size": 2, "micro_batch_size": 2, "max_length": 200, "heldout_share": 0}
    settings = Train(lora=Lora(rank=2, alpha=4, dropout=0), **one)
    lora.train(settings, model, folder, ROWS, tmp_path / "adapter", tmp_path / "work", 1, 1)
    monkeypatch.setattr(trainer, "agree_with_config", lambda arguments, config: None)
    with pytest.raises(UserError, match="the loss of TRL differs from that of RecurrentGemmaForCausalLM"):
        lora.train(settings, model, folder, ROWS, tmp_path / "other", tmp_path / "again", 1, 1)
