"""One driver at a time in a folder, known by a lock of its own, which outlives it.

Snakemake's own lock says nothing of who holds it, and goes when any driver in the folder ends. This one says host,
process and start, and which jobs its driver sends to SLURM: what is found of a killed driver are its jobs, and nobody
else's are ended. A driver takes it before its first job (`onstart`) and gives it back when it ends (`onsuccess`,
`onerror`); one that was killed leaves it, and the next takes it over with what is noted in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from isheep.data import locks
from isheep.data.locks import Holder, Signs
from isheep.errors import UserError
from isheep.workflow.orphans import end_orphans

LOCK = ".isheep.lock"  # not in .snakemake, which people delete
# Rules that only look at results: they may run beside a driver.
LOOKING = ("verify", "plan")


@dataclass(frozen=True)
class State:
    """What is known of a folder's driver; `jobs` are the names under which it, and dead ones before, sent to SLURM."""

    is_: Literal["free", "alive", "dead"]
    holder: Holder | None = None
    jobs: tuple[str, ...] = ()


@dataclass
class Taken:
    """The lock while this process has it; `left` are the names of dead drivers' jobs that SLURM may still hold."""

    file: Path
    holder: Holder
    own: str | None
    left: tuple[str, ...]
    signs: Signs = field(repr=False)


def look(folder: Path) -> State:
    """Return who drives in a folder, without touching anything but the time of a probe beside the lock."""
    file = folder / LOCK
    noted = locks.read_holder(file)
    if noted is None:
        return State("free" if not file.exists() or locks.left_behind(file) else "alive")
    holder, more = noted
    jobs = tuple(filter(None, [more.get("own"), *more.get("left", ())]))
    return State("alive" if locks.lives(holder, file) else "dead", holder, jobs)


def take(folder: Path, own: str | None = None) -> Taken:
    """Take a folder's lock for this process.

    Parameters
    ----------
    folder
        Where the workflow runs.
    own
        Name that this driver's SLURM jobs have; None where it sends none.

    Raises
    ------
    UserError
        Another driver has it; the message says which, and since when.
    """
    file, me = folder / LOCK, Holder.me()
    while True:
        state = look(folder)
        if state.is_ == "alive":
            raise UserError(_refusal(state, file))
        if state.is_ == "dead" or locks.left_behind(file):
            locks.remove_file(file, state.holder or locks.NOBODY)
        if locks.make_file(file, me, {"own": own, "left": state.jobs}):
            return Taken(file, me, own, state.jobs, Signs(file))


def release(taken: Taken | None, finished: bool) -> None:
    """Give the lock back, if there is one (`onsuccess`, `onerror`).

    Parameters
    ----------
    taken
        What `begin` or `take` returned.
    finished
        Every job has ended. Where not, the next driver looks whether SLURM still holds some.
    """
    if taken is None:
        return
    taken.signs.end()
    left = taken.left if finished or not taken.own else (taken.own, *taken.left)
    if left:
        locks.replace_file(taken.file, locks.NOBODY, {"own": None, "left": left})
    else:
        locks.remove_file(taken.file, taken.holder)


def begin(workflow: Any, say: Callable[[str], None]) -> Taken | None:
    """Take the lock for Snakemake's driver, and end what a killed one left on SLURM (`onstart`).

    Neither a dry run nor a job that a driver starts (`--no-hooks`) comes here. A driver that only looks takes no lock;
    one without SLURM takes it and ends nobody's jobs.

    Parameters
    ----------
    workflow
        Snakemake's, whose jobs are known and whose executor is made.
    say
        Takes a line for the user.

    Raises
    ------
    UserError
        Another driver works in the folder, or SLURM does not end a dead one's jobs.
    """
    if not drives(job.rule.name for job in workflow.dag.needrun_jobs()):
        return None
    own = getattr(workflow.scheduler._executor, "run_uuid", None)  # the SLURM plugin's name for its jobs
    taken = take(Path.cwd(), own)
    if own:
        try:
            end_orphans(taken.left, say)
        except UserError:
            release(taken, finished=True)  # nothing was sent; what is left stays noted
            raise
        taken.left = ()
        locks.replace_file(taken.file, taken.holder, {"own": own, "left": ()})
    return taken


def drives(rules: Iterable[str]) -> bool:
    """Return whether a driver that is to run jobs of these rules needs the lock: not to look at results only."""
    return any(not rule.endswith(LOOKING) for rule in rules)


def _refusal(state: State, file: Path) -> str:
    if state.holder is None:
        return f"{file}: another driver starts in this folder at this moment; start again when it has ended"
    wait = f"another driver works in this folder ({state.holder}); start again when it has ended"
    if state.holder.host == Holder.me().host:
        return wait
    silence = locks.silent_for(file) or 0.0
    return (
        f"{wait}. It gave its last sign of life {max(silence, 0.0):.0f} s ago; if it was killed, its lock counts no "
        f"more after {locks.SILENCE:.0f} s"
    )
