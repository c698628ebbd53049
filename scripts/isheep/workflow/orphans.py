"""Jobs of a killed driver that SLURM still holds: ended before a new driver sends the same work again.

A job is known by its name, which the plugin makes anew for every driver and the driver's lock notes. What it has
finished is in the journals, so that nothing but its last requests, or the steps since the last checkpoint, is done
again.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence

from isheep.errors import UserError

SECONDS = 120


def find_orphans(names: Sequence[str]) -> list[str]:
    """Return the ids of this user's jobs in SLURM's queue that have one of these names.

    Raises
    ------
    UserError
        SLURM does not answer: nobody knows whether such jobs still work in the folder.
    """
    if not names:
        return []
    asked = ["squeue", "--noheader", "--array", f"--user={os.getuid()}", f"--name={','.join(names)}", "--format=%i|%j"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True)
        failed, why = answer.returncode, answer.stderr.strip()
    except OSError as error:
        failed, why = 1, f"squeue: {error.strerror}"
    if failed:
        raise UserError(
            "squeue does not answer, so nobody knows whether jobs of a killed driver still work in this folder; start "
            f"again when SLURM is back ({why})"
        )
    lines = (line.split("|", 1) for line in answer.stdout.splitlines())
    return [job for job, name in lines if name in names]


def end_orphans(names: Sequence[str], say: Callable[[str], None], seconds: float = SECONDS) -> None:
    """Cancel the jobs that dead drivers left behind, and wait until SLURM has seen the last of them.

    Parameters
    ----------
    names
        Names of those drivers' jobs, as their lock noted them.
    say
        Takes a line for the user.
    seconds
        How long to wait for cancelled jobs to end.

    Raises
    ------
    UserError
        SLURM does not answer, or a job does not end (a node that cannot be reached, say).
    """
    orphans = find_orphans(names)
    if not orphans:
        return
    say(
        f"SLURM still holds jobs of an earlier start in this folder: {' '.join(orphans)}. They are cancelled; what "
        "they finished is kept, and new jobs go on from there."
    )
    subprocess.run(["scancel", *orphans], capture_output=True, text=True)
    deadline = time.monotonic() + seconds
    while orphans := find_orphans(names):
        if time.monotonic() > deadline:
            raise UserError(
                f"cancelled jobs {' '.join(orphans)} have not ended after {seconds:.0f} s; look at them with "
                f"`squeue --jobs={','.join(orphans)}` and start again when they are gone"
            )
        time.sleep(1)
