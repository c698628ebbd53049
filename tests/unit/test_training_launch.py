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

from isheep.data.rows import write_rows
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


def test_gpus_of_several_nodes_are_counted_on_one_and_shared_evenly(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    launch.check_gpus(16, 16, nodes=2)
    with pytest.raises(UserError, match="given 4 GPUs on each node, torch sees 8"):
        launch.check_gpus(8, 8, nodes=2)
    with pytest.raises(UserError, match="3 nodes cannot share 16 processes and 16 GPUs evenly"):
        launch.check_gpus(16, 16, nodes=3)


def slurm(folder, monkeypatch, hosts):
    """Put a SLURM of this machine's own before the real one: each node a process of it."""
    (folder / "scontrol").write_text(f"#!/bin/sh\nprintf '%s\\n' {hosts}\n")
    (folder / "srun").write_text(SRUN)
    for name in ("scontrol", "srun"):
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_ID", "4242")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "node[1-2]")


SRUN = """#!/bin/sh
# srun --nodes=N --ntasks=N ... COMMAND: the command N times, side by side
count=${1#--nodes=}
while case "$1" in --*) true;; *) false;; esac; do shift; done
pids=""
for node in $(seq "$count"); do "$@" & pids="$pids $!"; done
status=0
for pid in $pids; do wait "$pid" || status=$?; done
exit $status
"""


def test_several_nodes_meet_at_the_first_of_slurms_list(tmp_path, monkeypatch):
    slurm(tmp_path, monkeypatch, "node1 node2")
    command = launch.torchrun(16, 2)
    assert command[:4] == ["srun", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1"]
    run = command[command.index("torch.distributed.run") + 1 :]
    words = dict(zip(run[::2], run[1::2], strict=True))
    assert words == {
        "--nproc-per-node": "8",
        "--nnodes": "2",
        "--rdzv-backend": "c10d",
        "--rdzv-endpoint": "node1:24242",
        "--rdzv-id": "4242",
    }
    with pytest.raises(UserError, match=r"train\.nodes: 3 asked for, SLURM gave 2 \(node1 node2\)"):
        launch.torchrun(3, 3)
    monkeypatch.delenv("SLURM_JOB_ID")
    with pytest.raises(UserError, match=r"train\.nodes: 2 nodes are given by SLURM alone"):
        launch.torchrun(2, 2)


def test_two_nodes_train_as_two_processes_of_one_do(tmp_path, monkeypatch):
    folder, rows = tiny_llama.save(tmp_path / "model"), tmp_path / "rows.jsonl"
    write_rows(rows, tiny_llama.rows(10))
    made = {}
    for name, nodes in (("one", 1), ("two", 2)):
        if nodes > 1:
            slurm(tmp_path, monkeypatch, "localhost localhost")
        train = settings(processes=2, nodes=nodes, epochs=1, micro_batch_size=1)
        work = tmp_path / name / "work"
        work.mkdir(parents=True)
        report = launch.launch(train, tiny_llama.MODEL, folder, rows, work.parent / "adapter", work, 1, 2, 0)
        made[name] = (tiny_llama.without_timing(report), tiny_llama.digests(work.parent / "adapter"))
    assert made["one"] == made["two"]
    assert made["one"][0]["steps"] == 2


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
