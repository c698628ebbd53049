"""How many processes train, what they are given, and what is said when one fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_llama

from isheep.errors import UserError
from isheep.training import launch, lora
from isheep.training.deepspeed import zero_config
from isheep.training.trainer import total_steps, warmup_steps

TRAIN = tiny_llama.TRAIN


def settings(**changes):
    return TRAIN.model_copy(update=changes)


@pytest.mark.parametrize(("asked", "gpus", "processes"), [(1, 0, 1), (2, 0, 2), ("gpus", 4, 4), ("gpus", 0, 1)])
def test_processes_are_those_asked_for_or_one_for_each_gpu(asked, gpus, processes):
    assert launch.count_processes(settings(processes=asked), gpus) == processes


@pytest.mark.parametrize(("processes", "good"), [(1, True), (2, True), (3, False), (4, False)])
def test_the_batch_must_be_shared_evenly(processes, good):
    if good:
        lora.check_batch(TRAIN, processes)
    else:
        with pytest.raises(UserError, match=rf"batch_size \(4\) must be a multiple of .*\(2 x {processes}\)"):
            lora.check_batch(TRAIN, processes)


@pytest.mark.parametrize(
    ("processes", "given", "seen", "message"),
    [
        (2, 2, 0, "given 2 GPUs, torch sees 0"),
        (1, 0, 1, "given 0 GPUs, torch sees 1"),
        (1, 4, 4, "processes is 1 but the job was given 4"),
    ],
)
def test_gpus_other_than_asked_for_stop_the_training(monkeypatch, processes, given, seen, message):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    with pytest.raises(UserError, match=message):
        launch.check_gpus(processes, given)


def test_gpus_as_asked_for_pass(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    launch.check_gpus(2, 2)


def test_training_processes_refuse_pickles_and_find_the_package():
    environment = launch.rank_environment(threads=3, gpus=0)
    assert environment["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    assert environment["DS_ACCELERATOR"] == "cpu"
    assert environment["OMP_NUM_THREADS"] == "3"
    assert Path(environment["PYTHONPATH"].split(os.pathsep)[0], "isheep", "training", "lora.py").is_file()


def test_the_error_of_a_failed_process_is_named():
    code, error = launch._run([sys.executable, "-c", "print('x'); raise ValueError('no luck')"], dict(os.environ))
    assert (code, error) == (1, "ValueError: no luck")
    assert launch._run([sys.executable, "-c", "print('x')"], dict(os.environ)) == (0, "no error named")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does it on Linux")
def test_a_killed_job_leaves_no_training_process_behind(tmp_path):
    child = "import os, time; open('pid', 'w').write(str(os.getpid())); open('ready', 'w'); time.sleep(60)"
    parent = (
        f"import os, sys\nfrom isheep.training.launch import _run\n_run([sys.executable, '-c', {child!r}], os.environ)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(launch.__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", parent], cwd=tmp_path, env=environment) as process:
        wait_for(lambda: (tmp_path / "ready").exists())
        process.send_signal(signal.SIGKILL)
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not running(pid))
    assert not running(pid)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("rows", "changes", "steps", "warmup"),
    [
        (8, {}, 4, 0),
        (9, {}, 6, 0),
        (8, {"epochs": 0.5}, 1, 0),
        (286, {"batch_size": 16, "warmup_steps": 20}, 36, 3),
        (8000, {"batch_size": 16, "warmup_steps": 20}, 1000, 20),
    ],
)
def test_warm_up_takes_at_most_a_tenth_of_the_steps(rows, changes, steps, warmup):
    assert total_steps(rows, settings(**changes)) == steps
    assert warmup_steps(rows, settings(**changes)) == warmup


def test_zero_3_gathers_its_shards_when_it_saves():
    assert zero_config(3)["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] is True
    assert zero_config(2)["zero_optimization"]["stage"] == 2
