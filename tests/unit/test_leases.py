"""GPUs of a machine are leased to jobs: none twice, all of them used, free again when a holder is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from isheep.runner import leases

SCRIPTS = Path(leases.__file__).parents[2]
HOLD = """
import sys
from isheep.runner.leases import lease
with lease(int(sys.argv[1]), sys.argv[2]):
    import os
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""
EIGHT = "0,1,2,3,4,5,6,7"


@pytest.fixture
def hold(tmp_path):
    """Start a process that holds a lease until its input ends; gives the process, which prints its devices."""
    started = []

    def start(count: int, about: str = "job", visible: str = EIGHT) -> subprocess.Popen[str]:
        environment = os.environ | {
            "CUDA_VISIBLE_DEVICES": visible,
            "PYTHONPATH": str(SCRIPTS),
            "TMPDIR": str(tmp_path),
        }
        environment.pop("SLURM_JOB_ID", None)
        command = [sys.executable, "-c", HOLD, str(count), about]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=environment, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def devices(process: subprocess.Popen[str]) -> list[str]:
    return process.stdout.readline().strip().split(",")


def says(process: subprocess.Popen[str]) -> tuple[threading.Thread, list[list[str]]]:
    """Read in a thread, so that one can see that nothing is said yet."""
    said: list[list[str]] = []
    thread = threading.Thread(target=lambda: said.append(devices(process)))
    thread.start()
    return thread, said


def test_eight_jobs_fill_eight_devices_and_the_ninth_gets_that_of_a_killed_one(hold):
    eight = [hold(1, f"shard {number}") for number in range(8)]
    held = [devices(process)[0] for process in eight]
    assert sorted(held) == EIGHT.split(",")
    thread, said = says(hold(1))
    thread.join(1.0)
    assert said == []
    eight[3].send_signal(signal.SIGKILL)
    thread.join()
    assert said == [[held[3]]]


def test_a_lease_of_several_waits_until_enough_are_free_and_nobody_passes_it(hold):
    small = hold(3)
    assert devices(small) == ["0", "1", "2"]
    large, said = says(hold(6))
    large.join(1.0)
    behind, later = says(hold(2))
    behind.join(1.0)
    assert said == later == []
    small.communicate("")  # ends by itself
    large.join()
    behind.join()
    assert len(said[0]) == 6 and len(later[0]) == 2 and sorted(said[0] + later[0]) == EIGHT.split(",")


def test_who_waits_is_told_for_whom(hold, tmp_path, monkeypatch, caplog):
    process = hold(1, "run a round 0 generate_outputs", visible="7")
    assert devices(process) == ["7"]
    monkeypatch.setattr(leases.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(leases.time, "sleep", lambda _: process.communicate(""))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with caplog.at_level("INFO"), leases.lease(1, "mine") as taken:
        assert taken == ["7"]
    assert f"waiting for 1 of 1 GPUs (7: process {process.pid}, run a round 0 generate_outputs)" in caplog.text
    assert "GPU lease: 7 of 7" in caplog.text


@pytest.mark.parametrize(("count", "slurm"), [(0, False), (3, False), (1, True)])
def test_nothing_is_leased_where_none_is_asked_for_or_slurm_gave_the_devices_or_there_are_too_few(
    tmp_path, monkeypatch, count, slurm
):
    monkeypatch.setattr(leases.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if slurm:
        monkeypatch.setenv("SLURM_JOB_ID", "1")
    with leases.lease(count, "job"):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,5"
    assert list(tmp_path.iterdir()) == []


def test_what_was_visible_before_is_visible_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(leases.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a, GPU-b")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with leases.lease(1, "job") as taken:
        assert taken == ["GPU-a"] and os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-a, GPU-b"
