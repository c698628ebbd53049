"""Jobs of a killed driver that SLURM still holds: ended before a new driver sends the same work again.

A job is known by the folder that it works in and by the comment that the plugin gives it. What it has finished is in
the journals, so that nothing but its last requests, or the steps since the last checkpoint, is done again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from isheep.errors import UserError

COMMENTS = ("rule_", "group_")
SUBMITTED = Path(".snakemake") / "slurm_logs"
SECONDS = 120


def find_orphans(folder: Path) -> list[str]:
    """Return the ids of the jobs in SLURM's queue that a workflow in `folder` submitted.

    Raises
    ------
    UserError
        Jobs were submitted from here and SLURM does not answer: nobody knows whether they still work in the folder.
    """
    if not (folder / SUBMITTED).is_dir() or shutil.which("squeue") is None:
        return []
    asked = ["squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%i|%k|%Z"]
    answer = subprocess.run(asked, capture_output=True, text=True)
    if answer.returncode:
        raise UserError(
            "squeue does not answer, so nobody knows whether jobs of an earlier start still work in this folder; start "
            f"again when SLURM is back ({answer.stderr.strip()})"
        )
    fields = [line.split("|", 2) for line in answer.stdout.splitlines()]
    here = os.path.realpath(folder)
    return [job for job, comment, place in fields if comment.startswith(COMMENTS) and os.path.realpath(place) == here]


def end_orphans(folder: Path, say: Callable[[str], None], seconds: float = SECONDS) -> None:
    """Cancel the jobs that an earlier driver left behind in `folder`, and wait until SLURM has seen the last of them.

    To be called where no other driver can be at work in the folder: Snakemake holds its lock by then.

    Parameters
    ----------
    folder
        Where the workflow runs.
    say
        Takes a line for the user.
    seconds
        How long to wait for cancelled jobs to end.

    Raises
    ------
    UserError
        SLURM does not answer, or a job does not end (a node that cannot be reached, say).
    """
    orphans = find_orphans(folder)
    if not orphans:
        return
    say(
        f"SLURM still holds jobs of an earlier start in this folder: {' '.join(orphans)}. They are cancelled; what "
        "they finished is kept, and new jobs go on from there."
    )
    subprocess.run(["scancel", *orphans], capture_output=True, text=True)
    deadline = time.monotonic() + seconds
    while orphans := find_orphans(folder):
        if time.monotonic() > deadline:
            raise UserError(
                f"cancelled jobs {' '.join(orphans)} have not ended after {seconds:.0f} s; look at them with "
                f"`squeue --jobs={','.join(orphans)}` and start again when they are gone"
            )
        time.sleep(1)
