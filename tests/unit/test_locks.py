"""Locks: the kernel's, and files in their place where the file system has no flock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from no_flock import preload

from isheep.data import locks
from isheep.data.locks import Holder, hold, lives, make_file, read_holder, remove_file

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# Appends its number, waits, and takes it away again: two in the block at once would see each other's.
TURNS = """
import sys, time
from pathlib import Path
from isheep.data.locks import hold
folder, turns = Path(sys.argv[1]), int(sys.argv[2])
for _ in range(turns):
    with hold(folder / "lock"):
        inside = folder / "inside"
        assert not inside.exists(), "two at once"
        inside.touch()
        time.sleep(0.01)
        inside.unlink()
        with open(folder / "turns", "a") as file:
            file.write("x")
"""
FOREVER = """
import sys, time
from pathlib import Path
from isheep.data.locks import hold
with hold(Path(sys.argv[1]) / "lock"):
    (Path(sys.argv[1]) / "held").touch()
    time.sleep(600)
"""
WORK = """
import sys, logging
from pathlib import Path
from isheep.data.files import write_json
from isheep.runner.journal import Journal
logging.basicConfig()
folder = Path(sys.argv[1])
write_json(folder / "a.json", {"a": 1})
with Journal(folder / "work", "f" * 64, "stage") as journal:
    journal.append("request", {"text": "answer"})
"""


@pytest.fixture(params=["ENOSYS", "EOPNOTSUPP", "ENOLCK"])
def no_flock(request, tmp_path) -> dict[str, str]:
    """An environment in which every flock fails as on such a file system."""
    return preload(tmp_path, request.param)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def python(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS), **environment},
        text=True,
        stderr=subprocess.PIPE,
    )


def wait_until(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} never came"
        time.sleep(0.01)


def test_processes_take_turns_without_flock(folder, no_flock):
    running = [python(TURNS, folder, 10, **no_flock) for _ in range(4)]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert (folder / "turns").read_text() == "x" * 40
    assert sorted(path.name for path in folder.iterdir()) == ["turns"]


def test_processes_take_turns_with_flock(folder):
    running = [python(TURNS, folder, 10) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert [path.name for path in folder.iterdir()] == ["turns"]


@pytest.mark.parametrize("kernel", [True, False])
def test_what_a_killed_holder_leaves_is_taken_over(folder, kernel, monkeypatch):
    if not kernel:
        monkeypatch.setattr(locks.fcntl, "flock", refuse)
    environment = {} if kernel else preload(folder.parent)
    holder = python(FOREVER, folder, **environment)
    wait_until(folder / "held")
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    told = []
    with hold(folder / "lock", lambda: told.append(True)):
        assert told == []
    assert [path.name for path in folder.iterdir()] == ["held"]


def refuse(*_: object) -> None:
    raise OSError(locks.errno.ENOSYS, "Function not implemented")


def test_files_and_journals_work_without_flock_and_say_so_once(folder, no_flock):
    process = python(WORK, folder, **no_flock)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert said.count("has no flock") == 1 and "docs/cluster.md" in said
    assert json.loads((folder / "a.json").read_text()) == {"a": 1}
    assert [path.name for path in (folder / "work").iterdir()] == ["stage.jsonl"]
    assert "answer" in (folder / "work/stage.jsonl").read_text()


def test_whoever_waits_is_told_once(folder, monkeypatch):
    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    other = python(FOREVER, folder, **preload(folder.parent))
    wait_until(folder / "held")
    told = []

    def waiting() -> None:
        told.append(True)
        other.kill()
        other.wait(10)

    with hold(folder / "lock", waiting):
        assert told == [True]


def test_any_other_error_of_the_file_system_is_not_taken_for_a_missing_flock(folder, monkeypatch):
    def broken(*_: object) -> None:
        raise OSError(locks.errno.EIO, "Input/output error")

    monkeypatch.setattr(locks.fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output error"), hold(folder / "lock"):
        pass


def test_a_holder_elsewhere_lives_as_long_as_it_gives_signs(folder):
    file = folder / "lock"
    elsewhere = replace(Holder.me(), host="other", machine="other")
    assert make_file(file, elsewhere, {"jobs": "x"})
    assert read_holder(file) == (elsewhere, {"jobs": "x"})
    assert lives(elsewhere, file)
    os.utime(file, (1, time.time() - locks.SILENCE - 5))
    assert not lives(elsewhere, file)


def test_a_process_with_the_same_number_that_began_later_is_another(folder):
    me = Holder.me()
    assert lives(me, folder / "lock")
    assert not lives(replace(me, started=me.started - 1), folder / "lock")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not lives(replace(me, pid=ended.pid), folder / "lock")


def test_signs_of_life_renew_the_files_time(folder, monkeypatch):
    monkeypatch.setattr(locks, "SIGN_OF_LIFE", 0.05)
    file = folder / "lock"
    make_file(file, Holder.me())
    os.utime(file, (1, 1))
    signs = locks.Signs(file)
    time.sleep(0.5)
    signs.end()
    assert locks.silent_for(file) < 5


def test_nobody_removes_another_holders_lock(folder):
    file, mine, yours = folder / "lock", Holder.me(), Holder.me()
    assert make_file(file, yours) and not make_file(file, mine)
    remove_file(file, mine)
    assert read_holder(file)[0] == yours
    remove_file(file, yours)
    assert list(folder.iterdir()) == []
