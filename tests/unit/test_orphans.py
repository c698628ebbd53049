"""Jobs of a killed driver are found by their name, cancelled, and waited for; nobody else's are touched."""

from __future__ import annotations

import pytest

from isheep.errors import UserError
from isheep.workflow.orphans import end_orphans, find_orphans

NAMES = ("dead-1", "dead-2")
QUEUE = """\
7|dead-1
8_2|dead-2
9|alive
10|my own job | dead-1
11|
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A squeue that prints a file and a scancel that empties it."""
    queue = tmp_path / "queue"
    queue.write_text(QUEUE)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in {
        "squeue": f'echo "$@" >"{tmp_path}/asked"; [ -f "{queue}" ] || {{ echo "slurm error" >&2; exit 1; }}\n'
        f'cat "{queue}"',
        "scancel": f'echo "$@" >>"{tmp_path}/cancelled"\n[ -e "{tmp_path}/stuck" ] || : >"{queue}"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return programs


def test_only_jobs_of_these_names_are_orphans(slurm, tmp_path):
    assert find_orphans(NAMES) == ["7", "8_2"]
    assert "--name=dead-1,dead-2" in (tmp_path / "asked").read_text()


def test_without_a_dead_driver_slurm_is_not_asked(slurm, tmp_path):
    (tmp_path / "queue").unlink()
    assert find_orphans(()) == []
    end_orphans((), pytest.fail)
    assert not (tmp_path / "asked").exists()


def test_orphans_are_cancelled_and_the_user_is_told(slurm, tmp_path):
    said = []
    end_orphans(NAMES, said.append)
    assert (tmp_path / "cancelled").read_text() == "7 8_2\n"
    assert len(said) == 1 and "7 8_2" in said[0] and "is kept" in said[0]


def test_nothing_is_said_when_there_are_none(slurm, tmp_path):
    (tmp_path / "queue").write_text("9|alive\n")
    said = []
    end_orphans(NAMES, said.append)
    assert said == [] and not (tmp_path / "cancelled").exists()


def test_jobs_that_do_not_end_stop_the_start_in_one_line(slurm, tmp_path):
    (tmp_path / "stuck").touch()
    with pytest.raises(UserError, match=r"jobs 7 8_2 have not ended .* `squeue --jobs=7,8_2`"):
        end_orphans(NAMES, lambda line: None, seconds=0)


def test_a_silent_slurm_stops_the_start_in_one_line(slurm, tmp_path, monkeypatch):
    (tmp_path / "queue").unlink()
    with pytest.raises(UserError, match=r"squeue does not answer.*slurm error"):
        end_orphans(NAMES, lambda line: None)
    (slurm / "squeue").unlink()
    monkeypatch.setenv("PATH", str(slurm))  # this machine's own SLURM must not answer
    with pytest.raises(UserError, match=r"squeue does not answer.*No such file"):
        end_orphans(NAMES, lambda line: None)
