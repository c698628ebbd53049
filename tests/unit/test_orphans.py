"""Jobs of a killed driver are found by folder and comment, cancelled, and waited for; nobody else's are touched."""

from __future__ import annotations

import pytest

from isheep.errors import UserError
from isheep.workflow.orphans import end_orphans, find_orphans

QUEUE = """\
7|rule_train_adapter_wildcards_a_1|{here}
8_2|rule_generate_prompts_shard_wildcards_a_0_1_4|{here}
9|rule_train_adapter_wildcards_a_1|{here}-other
10|my own job|{here}
11||{here}
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A folder from which jobs were submitted, with a squeue that prints a file and a scancel that empties it."""
    here = tmp_path / "here"
    (here / ".snakemake" / "slurm_logs").mkdir(parents=True)
    queue = tmp_path / "queue"
    queue.write_text(QUEUE.format(here=here))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in {
        "squeue": f'[ -f "{queue}" ] || {{ echo "slurm_load_jobs error" >&2; exit 1; }}\ncat "{queue}"',
        "scancel": f'echo "$@" >>"{tmp_path}/cancelled"\n[ -e "{tmp_path}/stuck" ] || : >"{queue}"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return here


def test_only_this_folders_jobs_of_a_workflow_are_orphans(slurm):
    assert find_orphans(slurm) == ["7", "8_2"]


def test_a_linked_folder_is_the_same_folder(slurm, tmp_path):
    (tmp_path / "link").symlink_to(slurm)
    assert find_orphans(tmp_path / "link") == ["7", "8_2"]


def test_a_folder_from_which_nothing_was_submitted_needs_no_slurm(slurm, tmp_path):
    (tmp_path / "queue").unlink()
    assert find_orphans(tmp_path) == []


def test_orphans_are_cancelled_and_the_user_is_told(slurm, tmp_path):
    said = []
    end_orphans(slurm, said.append)
    assert (tmp_path / "cancelled").read_text() == "7 8_2\n"
    assert len(said) == 1 and "7 8_2" in said[0] and "is kept" in said[0]


def test_nothing_is_said_when_there_are_none(slurm, tmp_path):
    (tmp_path / "queue").write_text("")
    said = []
    end_orphans(slurm, said.append)
    assert said == [] and not (tmp_path / "cancelled").exists()


def test_jobs_that_do_not_end_stop_the_start_in_one_line(slurm, tmp_path):
    (tmp_path / "stuck").touch()
    with pytest.raises(UserError, match=r"jobs 7 8_2 have not ended .* `squeue --jobs=7,8_2`"):
        end_orphans(slurm, lambda line: None, seconds=0)


def test_a_silent_slurm_stops_the_start_in_one_line(slurm, tmp_path):
    (tmp_path / "queue").unlink()
    with pytest.raises(UserError, match=r"squeue does not answer.*slurm_load_jobs error"):
        end_orphans(slurm, lambda line: None)
