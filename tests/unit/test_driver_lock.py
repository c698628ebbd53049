"""The driver's lock: one driver in a folder, known by host, process and start; only a dead one's jobs are ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from isheep.data import locks
from isheep.data.locks import Holder, make_file
from isheep.errors import UserError
from isheep.workflow import lock
from isheep.workflow.lock import LOCK, begin, drives, look, release, take

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# What a Snakefile must hold, and two rules: one works until it may end, one only looks.
SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
from isheep.errors import UserError
from isheep.workflow import lock

rule work:
    output: "done-{{name}}"
    shell: "touch started-{{wildcards.name}}; while [ ! -e go ]; do sleep 0.05; done; touch {{output}}"

rule verify:
    shell: "touch verified"

driver = None

def begin():
    global driver
    try:
        driver = lock.begin(workflow, logger.info)
    except UserError as error:
        raise WorkflowError(str(error))

onstart:
    begin()

onsuccess:
    lock.release(driver, finished=True)

onerror:
    lock.release(driver, finished=False)
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def start(place: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    return subprocess.Popen(command, cwd=place, text=True, stderr=subprocess.PIPE, start_new_session=True)


def wait_until(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} never came"
        time.sleep(0.02)


def ended(place: Path, *arguments: str) -> tuple[int, str]:
    process = start(place, *arguments)
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def test_a_second_driver_is_refused_in_one_line_and_looking_is_not(place):
    first = start(place, "done-a")
    wait_until(place / "started-a")
    assert look(place).is_ == "alive" and look(place).holder.pid == first.pid
    code, said = ended(place, "done-b")
    assert code != 0 and not (place / "started-b").exists() and "Traceback" not in said
    (line,) = [line for line in said.splitlines() if "another driver works in this folder" in line]
    assert f"process {first.pid} on " in line and "since " in line
    # Neither the refused start nor one that looks, nor a dry run, takes anything from the first.
    assert ended(place, "verify")[0] == 0 and (place / "verified").exists()
    assert ended(place, "done-b", "--dry-run")[0] == 0
    assert look(place).holder.pid == first.pid
    (place / "go").touch()
    first.communicate(timeout=60)
    assert first.returncode == 0 and look(place).is_ == "free" and not list(place.glob(f"{LOCK}*"))


def test_a_killed_driver_is_followed_at_once(place):
    first = start(place, "done-a")
    wait_until(place / "started-a")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait(30)
    assert look(place).is_ == "dead"
    (place / "go").touch()
    assert ended(place, "--unlock", "done-a")[0] == 0
    code, said = ended(place, "done-a", "--rerun-incomplete")
    assert code == 0, said
    assert look(place).is_ == "free"


def test_a_failed_driver_leaves_no_lock(place):
    (place / "go").touch()
    (place / "started-a").mkdir()  # touch works on it, and the output's folder is no file
    (place / "Snakefile").write_text(SNAKEFILE.replace("touch {output}", "false"))
    code, _ = ended(place, "done-a")
    assert code != 0 and look(place).is_ == "free"


def driver(own: str | None, *rules: str) -> SimpleNamespace:
    """A driver as `begin` sees Snakemake's."""
    jobs = [SimpleNamespace(rule=SimpleNamespace(name=rule)) for rule in rules]
    executor = SimpleNamespace(run_uuid=own) if own else SimpleNamespace()
    dag = SimpleNamespace(needrun_jobs=lambda: jobs)
    return SimpleNamespace(dag=dag, scheduler=SimpleNamespace(_executor=executor))


@pytest.fixture
def ends(tmp_path, monkeypatch):
    """The names whose jobs were ended."""
    monkeypatch.chdir(tmp_path)
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(lock, "end_orphans", lambda names, say: asked.append(tuple(names)))
    return asked


def leave_dead(folder: Path, own: str, left: tuple[str, ...] = ()) -> None:
    dead = replace(Holder.me(), started=1)
    assert make_file(folder / LOCK, dead, {"own": own, "left": left})


def test_a_dead_drivers_jobs_are_ended_and_no_others(tmp_path, ends):
    first = begin(driver("one", "train_adapter"), print)
    assert ends == [()]
    with pytest.raises(UserError, match="another driver works in this folder"):
        begin(driver("two", "train_adapter"), print)
    release(first, finished=True)
    leave_dead(tmp_path, "killed", ("older",))
    second = begin(driver("three", "train_adapter"), print)
    assert ends == [(), ("killed", "older")]
    assert look(tmp_path).jobs == ("three",)
    release(second, finished=True)
    assert look(tmp_path).is_ == "free"


def test_a_driver_that_failed_leaves_the_name_of_its_jobs(tmp_path, ends):
    release(begin(driver("one", "train_adapter"), print), finished=False)
    assert look(tmp_path).is_ == "dead" and look(tmp_path).jobs == ("one",)
    release(begin(driver("two", "train_adapter"), print), finished=True)
    assert ends == [(), ("one",)]


def test_a_driver_without_slurm_ends_nobodys_jobs_and_forgets_none(tmp_path, ends):
    leave_dead(tmp_path, "killed")
    local = begin(driver(None, "train_adapter"), print)
    assert ends == [] and look(tmp_path).is_ == "alive"
    release(local, finished=True)
    assert look(tmp_path).jobs == ("killed",)
    begin(driver("next", "train_adapter"), print)
    assert ends == [("killed",)]


def test_looking_takes_no_lock(tmp_path, ends):
    assert begin(driver("one", "verify"), print) is None
    release(None, finished=True)
    assert ends == [] and list(tmp_path.iterdir()) == []
    assert drives(["isheep_verify", "all"]) and not drives(["isheep_verify"])


def test_a_slurm_that_does_not_answer_keeps_what_is_known(tmp_path, ends, monkeypatch):
    def silent(names, say):
        raise UserError("squeue does not answer")

    leave_dead(tmp_path, "killed")
    monkeypatch.setattr(lock, "end_orphans", silent)
    with pytest.raises(UserError, match="does not answer"):
        begin(driver("one", "train_adapter"), print)
    assert look(tmp_path).is_ == "dead" and look(tmp_path).jobs == ("killed",)


def test_a_driver_on_another_machine_is_known_by_its_sign_of_life(tmp_path):
    elsewhere = replace(Holder.me(), host="login2", machine="other")
    assert make_file(tmp_path / LOCK, elsewhere, {"own": "x", "left": []})
    with pytest.raises(UserError, match=r"process \d+ on login2, since .*sign of life \d+ s ago; .* after 120 s"):
        take(tmp_path)
    os.utime(tmp_path / LOCK, (1, time.time() - locks.SILENCE - 5))
    taken = take(tmp_path, "mine")
    assert taken.left == ("x",)
    release(taken, finished=True)


def test_half_a_lock_does_not_block_for_ever(tmp_path):
    (tmp_path / LOCK).write_text('{"holder": {"ho')
    with pytest.raises(UserError, match="another driver starts in this folder at this moment"):
        take(tmp_path)
    os.utime(tmp_path / LOCK, (1, time.time() - locks.SILENCE - 5))
    release(take(tmp_path), finished=True)
    assert json.dumps(sorted(path.name for path in tmp_path.iterdir())) == "[]"
