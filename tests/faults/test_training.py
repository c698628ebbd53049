"""Trainings and adapters that go wrong: nothing of them is merged, and nothing half-written is trusted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from shutil import copytree

import numpy as np
import pytest
import tiny_llama
from safetensors.numpy import load_file, save_file

from isheep.errors import UserError
from isheep.training import checkpoint, checks


def spoil(folder, change):
    """Change the lora_B tensors of an adapter."""
    file = folder / checks.ADAPTER_WEIGHTS
    arrays = load_file(file)
    save_file({name: change(array) if "lora_B" in name else array for name, array in arrays.items()}, file)


BAD = {
    "empty": (lambda array: array[:0], "holds nothing; weights were saved before they were gathered"),
    "zero": (np.zeros_like, "every lora_B is zero"),
    "nan": (lambda array: np.full_like(array, np.nan), "values that are not finite"),
}


@pytest.mark.parametrize(("change", "said"), BAD.values(), ids=BAD)
def test_bad_adapter_is_not_merged(undisturbed, tmp_path, change, said):
    from isheep.config.model import Model
    from isheep.config.train import Merge
    from isheep.training import fake

    adapter = copytree(undisturbed.folder / "results/a/iter_1/adapter", tmp_path / "adapter")
    spoil(adapter, change)
    with pytest.raises(UserError, match=said):
        fake.merge(Merge(), Model(), None, adapter, tmp_path / "model", [], 1)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_bad_adapter_stops_the_run_in_one_line(finished):
    spoil(finished.folder / "results/a/iter_1/adapter", np.zeros_like)
    said = finished.fail("--forcerun", "merge_model")
    assert "a round 1 merge_model failed: results/a/iter_1/adapter/adapter_model.safetensors: every" in said
    assert "delete the adapter's folder and train again" in said
    assert not (finished.folder / "results/a/iter_1/model").exists()


def test_trainer_killed_within_a_checkpoint(tmp_path):
    code = """
import os, pathlib, signal, sys
from isheep.training.checkpoint import mark_complete
for step in (2, 4):
    folder = pathlib.Path(sys.argv[1], f"checkpoint-{step}")
    folder.mkdir()
    for name in ("weights", "optimizer", "state"):
        if (step, name) == (4, "state"):
            os.kill(os.getpid(), signal.SIGKILL)
        (folder / name).write_text(f"{name} {step}")
    mark_complete(folder)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment)
    assert killed.returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-4"]
    assert checkpoint.find_complete(tmp_path) == tmp_path / "checkpoint-2"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]


def test_loss_that_is_not_a_number(tmp_path):
    from isheep.training import lora

    model = tiny_llama.save(tmp_path / "model")
    weights = load_file(model / "model.safetensors")
    weights["model.norm.weight"][:] = np.nan
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    settings = tiny_llama.TRAIN.model_copy(update={"heldout_share": 0.0})
    with pytest.raises(UserError, match="training diverged at step 1 of 8: loss nan"):
        lora.train(
            settings, tiny_llama.MODEL, model, tiny_llama.rows(15), tmp_path / "adapter", tmp_path / "work", 5, 1
        )
    assert not (tmp_path / "adapter").exists()
