"""Adapters that must not be merged, checkpoints that must not be trusted, disks that are too small."""

from __future__ import annotations

import errno
import json
import threading
from collections import namedtuple

import numpy as np
import pytest
from safetensors.numpy import save_file

from isheep.errors import UserError
from isheep.training import checkpoint, checks

GOOD = {
    "base_model.model.q_proj.lora_A.weight": np.ones((2, 4), np.float32),
    "base_model.model.q_proj.lora_B.weight": np.full((4, 2), 0.5, np.float32),
}


def adapter(folder, arrays):
    save_file(arrays, folder / checks.ADAPTER_WEIGHTS)
    (folder / checks.ADAPTER_CONFIG).write_text("{}")
    return folder


def with_b(*values):
    return GOOD | {"base_model.model.q_proj.lora_B.weight": np.array([values], np.float32)}


def test_a_good_adapter_is_counted(tmp_path):
    assert checks.check_adapter(adapter(tmp_path, GOOD)) == {"tensors": 2, "parameters": 16}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "holds no tensor"),
        (with_b(), "holds nothing; weights were saved before they were gathered"),
        (with_b(0.0, 0.0), "every lora_B is zero"),
        (with_b(0.5, float("nan")), "not finite"),
        (with_b(0.5, float("-inf")), "not finite"),
        (with_b(float("inf"), 0.0), "not finite"),
    ],
    ids=["no tensor", "empty tensor", "zero", "nan", "minus inf", "inf"],
)
def test_a_bad_adapter_is_refused_with_its_file_and_a_remedy(tmp_path, arrays, message):
    with pytest.raises(UserError, match=message) as error:
        checks.check_adapter(adapter(tmp_path, arrays))
    assert str(tmp_path / checks.ADAPTER_WEIGHTS) in str(error.value)
    assert "train again" in str(error.value)


def test_a_damaged_adapter_is_refused(tmp_path):
    path = adapter(tmp_path, GOOD) / checks.ADAPTER_WEIGHTS
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(UserError, match="damaged"):
        checks.check_adapter(tmp_path)


@pytest.mark.parametrize("name", [checks.ADAPTER_WEIGHTS, checks.ADAPTER_CONFIG])
def test_a_folder_without_one_of_the_files_is_no_adapter(tmp_path, name):
    (adapter(tmp_path, GOOD) / name).unlink()
    with pytest.raises(UserError, match=f"{name}: missing"):
        checks.check_adapter(tmp_path)


def test_an_adapter_in_bfloat16_is_read_too(tmp_path):
    values = np.array([[1.0, float("nan")]], np.float32)
    halves = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    header = {"q.lora_B.weight": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, len(halves)]}}
    text = json.dumps(header).encode()
    (tmp_path / checks.ADAPTER_WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text + halves)
    (tmp_path / checks.ADAPTER_CONFIG).write_text("{}")
    with pytest.raises(UserError, match="not finite"):
        checks.check_adapter(tmp_path)


def test_too_little_space_is_told_before_anything_is_loaded(tmp_path, monkeypatch):
    save_file({"w": np.zeros((1024, 1024), np.float32)}, tmp_path / "model.safetensors")
    assert checks.count_parameters(tmp_path) == 2**20
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda folder: usage(3 * 2**20))
    checks.check_free_space(tmp_path, tmp_path / "not" / "there" / "model", "bfloat16")
    with pytest.raises(UserError, match=r"needs 0\.00 GiB \(1\.0 M parameters in float32\)"):
        checks.check_free_space(tmp_path, tmp_path / "model", "float32")


@pytest.mark.parametrize(("version", "line"), [(2, "0::/job/step"), (1, "5:memory:/job/step")])
def test_the_memory_at_hand_is_the_least_that_machine_groups_and_slurm_leave(tmp_path, monkeypatch, version, line):
    gib = 2**30
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: {64 * 2**20} kB\nMemAvailable: {40 * 2**20} kB\n")
    assert checks._memory_at_hand(tmp_path) == 40 * gib
    (tmp_path / "proc/self/cgroup").write_text(f"{line}\n")
    group = tmp_path / "sys/fs/cgroup" / ("memory" if version == 1 else "") / "job"
    (group / "step").mkdir(parents=True)
    limit, used = (
        ("memory.limit_in_bytes", "memory.usage_in_bytes") if version == 1 else ("memory.max", "memory.current")
    )
    (group / "step" / limit).write_text("max\n")
    (group / "step" / used).write_text(f"{gib}\n")
    (group / limit).write_text(f"{16 * gib}\n")
    (group / used).write_text(f"{6 * gib}\n")
    assert checks._memory_at_hand(tmp_path) == 10 * gib
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "8192")
    assert checks._memory_at_hand(tmp_path) == 8 * gib
    monkeypatch.setattr(checks, "_memory_at_hand", lambda: 8 * gib)
    assert checks.fits_memory(6 * gib, 0)[0] and not checks.fits_memory(7 * gib, 0)[0]


@pytest.mark.parametrize(
    ("error", "free"),
    [
        (OSError(errno.ENOSPC, "full"), 2**30),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 2**30),
        (RuntimeError("PytorchStreamWriter failed writing file"), 0),
    ],
)
def test_a_full_disk_is_named_whatever_the_library_says(tmp_path, monkeypatch, error, free):
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda folder: namedtuple("usage", "free")(free))
    with pytest.raises(UserError, match=f"{tmp_path}/out: no space left"), checks.full_disk_named(tmp_path / "out"):
        raise error


def test_other_failures_pass_unchanged(tmp_path):
    with pytest.raises(RuntimeError, match="shape"), checks.full_disk_named(tmp_path):
        raise RuntimeError("cannot write shape")


def save_checkpoint(folder, step, complete=True):
    path = folder / f"checkpoint-{step}"
    (path / "global_step").mkdir(parents=True)
    (path / "adapter_model.safetensors").write_bytes(b"weights")
    (path / "global_step" / "optimizer.pt").write_bytes(b"state %d" % step)
    if complete:
        checkpoint.mark_complete(path)
    return path


def test_the_newest_complete_checkpoint_is_found_and_half_written_ones_are_deleted(tmp_path):
    save_checkpoint(tmp_path, 9)
    kept = save_checkpoint(tmp_path, 10)
    half = save_checkpoint(tmp_path, 11, complete=False)
    assert checkpoint.find_complete(tmp_path) == kept
    assert not half.exists()


@pytest.mark.parametrize("damage", ["changed", "cut", "missing", "added", "torn marker"])
def test_a_damaged_checkpoint_is_not_resumed_from(tmp_path, damage):
    older = save_checkpoint(tmp_path, 1)
    state = save_checkpoint(tmp_path, 2) / "global_step" / "optimizer.pt"
    if damage == "missing":
        state.unlink()
    elif damage == "added":
        state.with_name("more.pt").touch()
    elif damage == "torn marker":
        (tmp_path / "checkpoint-2" / checkpoint.MARKER).write_text('{"a": ')
    else:
        state.write_bytes(b"state 3" if damage == "changed" else b"state")
    assert checkpoint.find_complete(tmp_path) == older


def test_without_checkpoints_there_is_nothing_to_resume(tmp_path):
    assert checkpoint.find_complete(tmp_path / "none") is None
    (tmp_path / "checkpoint-best").mkdir()
    assert checkpoint.find_complete(tmp_path) is None


def test_two_trainings_of_one_folder_take_turns(tmp_path):
    order = []
    with checkpoint.exclusive(tmp_path):

        def second():
            with checkpoint.exclusive(tmp_path):
                order.append("second")

        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        order.append("first ends")
    thread.join()
    assert order == ["first ends", "second"]
