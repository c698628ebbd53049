"""GPUs of one machine shared out to jobs: a lease says which ones a job may use, and ends with its process.

Snakemake counts GPUs (`resources: gpu=8`) but gives none out: on a machine without a scheduler every job sees all of
them. A job therefore takes a lock for each device that it asked for and shows the libraries those devices alone. The
locks are the kernel's (`flock`), of files in the machine's own folder for temporary ones: they are free again when the
holder and the workers it started are gone, however they ended, and they hold between workflows in several folders.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)
VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL = 0.5  # seconds
FOLDER = "isheep-gpus"


@contextmanager
def lease(count: int, about: str) -> Iterator[list[str]]:
    """Lease so many of the GPUs that this process sees, and let it and its children see no others.

    Nothing is leased where none is asked for, where SLURM gave the job its devices, or where fewer are seen than asked
    for (which whoever uses them tells).

    Parameters
    ----------
    count
        GPUs that the job asked for.
    about
        Whose job it is, for others that wait.

    Yields
    ------
    list of str
        The devices, as in `CUDA_VISIBLE_DEVICES`; those that were visible before where nothing is leased.
    """
    devices = seen_devices() if count and "SLURM_JOB_ID" not in os.environ else []
    if not count or len(devices) < count:
        yield devices
        return
    with ExitStack() as held:
        taken = _take(count, devices, about, held)
        before = os.environ.get(VISIBLE)
        os.environ[VISIBLE] = ",".join(taken)
        logger.info("GPU lease: %s of %s", os.environ[VISIBLE], ",".join(devices))
        try:
            yield taken
        finally:
            if before is None:
                del os.environ[VISIBLE]
            else:
                os.environ[VISIBLE] = before


def seen_devices() -> list[str]:
    """Return the GPUs that a process sees: what `CUDA_VISIBLE_DEVICES` says, else all that the driver lists."""
    if (visible := os.environ.get(VISIBLE)) is not None:
        return [device.strip() for device in visible.split(",") if device.strip()]
    if not shutil.which("nvidia-smi"):
        return []
    said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    return [str(number) for number, _ in enumerate(line for line in said.splitlines() if line.startswith("GPU "))]


def folder() -> Path:
    """Return the folder of the machine's leases, made for every user when it is not there."""
    place = Path(tempfile.gettempdir()) / FOLDER
    if not place.exists():
        place.mkdir(exist_ok=True)
        place.chmod(0o1777)
    return place


def kept_file(device: str) -> Path:
    """Return the file that a keeper with an engine on a GPU locks as long as it lives."""
    _opened(f"{device}.kept").close()
    return _file(f"{device}.kept")


def wait_until_free(devices: list[str]) -> None:
    """Wait for the keepers of other users on leased GPUs: they leave when nobody has come for a while."""
    for device in devices:
        with _opened(f"{device}.kept") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("waiting for another user's idle engine on GPU %s to leave", device)
                fcntl.flock(handle, fcntl.LOCK_EX)


def _take(count: int, devices: list[str], about: str, held: ExitStack) -> list[str]:
    """Return devices whose locks `held` keeps from now on; those who gather take turns, so that none waits for ever."""
    waited = False
    with _opened("gather") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        taken: list[str] = []
        while True:
            for device in devices:
                if len(taken) < count and device not in taken and _lock(device, about, held):
                    taken.append(device)
            if len(taken) == count:
                return sorted(taken, key=devices.index)
            if not waited:
                others = ", ".join(f"{device}: {_holder(device)}" for device in devices if device not in taken)
                logger.info("waiting for %d of %d GPUs (%s)", count - len(taken), count, others)
                waited = True
            time.sleep(POLL)


def _lock(device: str, about: str, held: ExitStack) -> bool:
    handle = _opened(device)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return False
    handle.truncate(0)
    handle.write(f"process {os.getpid()}, {about}\n")
    handle.flush()
    held.enter_context(handle)
    return True


def _holder(device: str) -> str:
    with _opened(device) as handle:
        handle.seek(0)
        return handle.read().strip() or "somebody"


def _opened(name: str) -> IO[str]:
    """Open a lock file for whoever has an account here."""
    descriptor = os.open(_file(name), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    if os.fstat(descriptor).st_uid == os.getuid():
        os.fchmod(descriptor, 0o666)
    return os.fdopen(descriptor, "a+", encoding="utf-8")


def _file(name: str) -> Path:
    return folder() / name.replace("/", "_")
