"""Merging tensor by tensor: the bytes that other libraries write, little memory, and nothing wrong is published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny_llama
import torch
from safetensors.torch import load_file, save_file

from isheep.config.train import Lora, Merge
from isheep.errors import UserError
from isheep.training import checks, fold, lora, merge, shards

MODEL, ROWS = tiny_llama.MODEL, tiny_llama.rows(15)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_llama.save(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def adapter(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    lora.train(tiny_llama.TRAIN, MODEL, folder, ROWS, out / "adapter", out / "work", 5, 1)
    return out / "adapter"


def merged(folder, adapter, out, **changes):
    return merge.merge(Merge(probe_prompts=2, probe_tokens=8, **changes), MODEL, folder, adapter, out, ROWS, 1)


def test_a_file_has_the_bytes_that_the_library_of_its_format_writes(tmp_path):
    tensors = {
        "b": torch.randn(3, 5),
        "a.é": torch.randn(4).to(torch.bfloat16),
        "c": torch.arange(3),
        "d": torch.tensor(1.5),
        "e": torch.randn(7).half(),
        "f": torch.tensor([True, False]),
        "g": torch.arange(4, dtype=torch.int32),
    }
    layout = {name: tensor.to("meta") for name, tensor in tensors.items()}
    shards.write_shards(tmp_path, layout, tensors.__getitem__, largest=10**6, parameters=30)
    save_file(tensors, tmp_path / "theirs", metadata={"format": "pt"})
    assert (tmp_path / "model.safetensors").read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("gib", [5.0, 5e-5])
def test_the_merged_weights_are_those_of_the_library_that_merges_in_memory(folder, adapter, tmp_path, dtype, gib):
    from peft import PeftModel

    merged(folder, adapter, tmp_path / "model", dtype=dtype, max_shard_gib=gib)
    network = PeftModel.from_pretrained(lora.load_model(folder, MODEL, "float32"), str(adapter)).merge_and_unload()
    network.to(getattr(torch, dtype)).save_pretrained(tmp_path / "theirs", max_shard_size=int(gib * 2**30))
    ours, theirs = (sorted((tmp_path / name).glob("model*")) for name in ("model", "theirs"))
    assert [file.name for file in ours] == [file.name for file in theirs] and len(ours) == (1 if gib > 1 else len(ours))
    assert [file.read_bytes() for file in ours] == [file.read_bytes() for file in theirs]


def test_a_base_in_shards_pickled_or_without_the_networks_prefix_gives_the_same_weights(folder, adapter, tmp_path):
    whole = load_file(folder / "model.safetensors")
    layout = {name: tensor.to("meta") for name, tensor in whole.items()}
    bases = [shutil.copytree(folder, tmp_path / name) for name in ("sharded", "pickled", "bare")]
    for base in bases:
        (base / "model.safetensors").unlink()
    shards.write_shards(bases[0], layout, whole.__getitem__, largest=20_000, parameters=1)
    torch.save(whole, bases[1] / "pytorch_model.bin")
    save_file({name.removeprefix("model."): tensor for name, tensor in whole.items()}, bases[2] / "model.safetensors")
    expected = fold.Fold(folder, adapter, MODEL, "float32")
    for base in bases:
        sum_ = fold.Fold(base, adapter, MODEL, "float32")
        assert all(torch.equal(sum_.tensor(name), expected.tensor(name)) for name in expected.layout)


def test_a_base_that_lacks_a_tensor_and_one_that_is_quantised_are_refused(folder, adapter, tmp_path):
    base = shutil.copytree(folder, tmp_path / "base")
    tensors = load_file(base / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, base / "model.safetensors")
    with pytest.raises(UserError, match=r"holds no tensor model\.norm\.weight"):
        merged(base, adapter, tmp_path / "model")
    config = json.loads((base / "config.json").read_text()) | {"quantization_config": {"quant_method": "bitsandbytes"}}
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="is quantised"):
        merged(base, adapter, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["model.layers.0.mlp.up_proj.weight", "model.norm.weight"])
def test_a_tensor_that_is_damaged_on_its_way_to_the_disk_is_named_and_nothing_is_published(
    folder, adapter, tmp_path, monkeypatch, name
):
    write = fold.Fold.write

    def spoil(self, out: Path, largest: int) -> None:
        write(self, out, largest)
        tensors = load_file(out / "model.safetensors")
        tensors[name][..., 0] += 0.01
        save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})

    monkeypatch.setattr(fold.Fold, "write", spoil)
    with pytest.raises(UserError, match=rf"the merged model differs from base plus adapter: {name} by"):
        merged(folder, adapter, tmp_path / "model", compare="tensors")
    assert list(tmp_path.iterdir()) == []


def test_answers_that_differ_are_not_published(folder, adapter, tmp_path, monkeypatch):
    load = merge.load_model

    def load_another(place, *rest):
        network = load(place, *rest)
        if place != folder:
            next(network.parameters()).data.mul_(1.5)
        return network

    monkeypatch.setattr(merge, "load_model", load_another)
    with pytest.raises(UserError, match="the merged model differs from base plus adapter: logits by up to"):
        merged(folder, adapter, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_does_not_fit_the_memory_is_compared_by_its_tensors(
    folder, adapter, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(checks, "_memory_at_hand", lambda: 2**10)
    monkeypatch.setattr(merge, "load_model", lambda *_: pytest.fail("a model was loaded"))
    report = merged(folder, adapter, tmp_path / "model")
    assert report["compared"] == "tensors" and report["logits_difference"] is None and report["probes"] == 0
    assert (report["tensors"], report["tensors_adapted"]) == (21, 14)
    assert 0 < report["tensors_difference"] < 1e-6
    assert "answers are not compared, every tensor is: the model needs 0.0 GiB in float32" in caplog.text


def resident(kind: str) -> int:
    """Return bytes of this process's memory: VmRSS now, VmHWM at its highest since it was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 2**10 for line in lines if line.startswith(kind))


def test_the_memory_of_a_merge_is_bounded_by_its_largest_file(tmp_path):
    shape = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 14}
    base = tiny_llama.save(tmp_path / "base", **shape)
    settings = tiny_llama.TRAIN.model_copy(
        update={"lora": Lora(rank=2, alpha=4), "epochs": 1, "batch_size": 2, "micro_batch_size": 1, "max_length": 128}
    )
    lora.train(settings, MODEL, base, ROWS[:4], tmp_path / "adapter", tmp_path / "work", 1, 1)
    (tmp_path / "model").mkdir()
    sum_ = fold.Fold(base, tmp_path / "adapter", MODEL, "float32")
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    sum_.write(tmp_path / "model", 16 * 2**20)
    assert sum_.check(tmp_path / "model") < 1e-6
    sizes = [file.stat().st_size for file in (tmp_path / "model").glob("*.safetensors")]
    assert len(sizes) > 8 and sum(sizes) > 10 * max(sizes)
    assert resident("VmHWM") - before < 2 * max(sizes)
