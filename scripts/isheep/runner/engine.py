"""The engine of a job: kept loaded in a process of its own for the stages that follow, or loaded in the job."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.data.files import digest, digest_file
from isheep.data.locks import started
from isheep.runner import leases
from isheep.runner.code import code_digest
from isheep.runner.job import Job
from isheep.runner.record import versions
from isheep.serving import engines, models
from isheep.serving.engines.base import Engine
from isheep.serving.keeper import client, place

logger = logging.getLogger(__name__)
AUTO = 120.0  # seconds
KEEPABLE = ("vllm", "transformers")
# What engines and their libraries read of the environment; not how threads wait (GOMP_), which decides no byte.
VARIABLES = ("OMP_", "MKL_", "KMP_", "VLLM_", "TORCH", "CUDA_", "CUBLAS_", "NCCL_", "TRITON_", "HF_", "LD_")


@contextmanager
def engine_of(this: Job, settings: Settings, model: Model, identity: str) -> Iterator[Engine]:
    """Open the engine that answers a job's requests.

    Parameters
    ----------
    this
        The job.
    settings, model, identity
        As in `engines.load`.

    Raises
    ------
    UserError
        It cannot be loaded, or settings and model do not go together.
    """
    if seconds := keep_seconds(settings):
        kept = _kept(this, _wanted(this, settings, model, identity, seconds))
        if kept is not None:
            with _timed(settings), kept:
                yield kept
            this.engine_peak_mib = kept.peak_memory_mib
            return
    elif settings.name in KEEPABLE:
        make_room(this)
    begin = time.monotonic()
    engine = engines.load(settings, model, this.model_folder, identity, this.threads, this.gpus)
    try:
        logger.info("engine %s loaded in %.1f s", settings.name, time.monotonic() - begin)
        with _timed(settings):
            yield engine
    finally:
        engine.close()


@contextmanager
def _timed(settings: Settings) -> Iterator[None]:
    begin = time.monotonic()
    yield
    logger.info("engine %s was used for %.1f s", settings.name, time.monotonic() - begin)


def _kept(this: Job, wanted: client.Wanted) -> client.KeptEngine | None:
    """Return the engine of a keeper; None where there can be none now, and the job loads its own."""
    try:
        if kept := client.open_kept(wanted, partial(_wait, this)):
            return kept
        logger.info("the engine that is kept here serves another job; this one loads its own")
    except OSError as error:
        logger.warning("no engine can be kept loaded on this machine (%s); this job loads its own", error)
    return None


def keep_seconds(settings: Settings) -> float:
    """Return how long an engine waits for the next stage when this one is done with it; 0 where none is kept."""
    if not hasattr(os, "pidfd_open"):  # not Linux
        return 0.0
    if settings.keep == "auto":
        return AUTO if settings.name in KEEPABLE and not _is_sent() else 0.0
    return 0.0 if settings.name == "endpoint" else settings.keep


def make_room(this: Job) -> None:
    """Have the engines that are kept where a job needs the memory leave, unless they serve another job."""
    slots, ended = _slots(this), 0
    try:
        with place.turn(slots) as is_free:
            ended = place.clear(slots) if is_free else 0
    except OSError as error:
        logger.warning("nobody knows whether an engine is kept loaded on this machine (%s)", error)
    if ended:
        logger.info("the engine that was kept loaded has left: this job needs its place")
    _wait(this)


def _wait(this: Job) -> None:
    if this.gpus:
        leases.wait_until_free(leases.seen_devices())


def _slots(this: Job) -> tuple[str, ...]:
    """Return what an engine of a job occupies: GPUs by the job's names for them, or the CPUs of a working folder."""
    if not this.gpus:
        return (_slot("cpu", this.home),)
    # SLURM's jobs on one node may all call their GPU 0.
    return tuple(_slot("gpu", device, os.environ.get("SLURM_JOB_ID", "")) for device in leases.seen_devices())


def _slot(*parts: str) -> str:
    return digest(parts)[:16]


def _wanted(this: Job, settings: Settings, model: Model, identity: str, seconds: float) -> client.Wanted:
    devices = leases.seen_devices() if this.gpus else []
    return client.Wanted(
        settings=settings,
        model=model,
        folder=this.model_folder,
        identity=identity,
        threads=this.threads,
        gpus=this.gpus,
        key=_key(this, settings, model, identity),
        slots=_slots(this),
        hold=tuple(map(leases.kept_file, devices)),
        seconds=seconds,
        driver=_driver(),
        environment=_environment(this),
        log=Path(os.path.relpath(this.log)).with_suffix(".engine.log"),
    )


def _key(this: Job, settings: Settings, model: Model, identity: str) -> str:
    """Return the digest of all that two jobs must have in common to be served by one loaded engine."""
    folder, template = this.model_folder, model.chat_template
    return digest(
        {
            "engine": settings.model_dump(mode="json", exclude={"keep"}),
            "model": model.model_dump(mode="json"),
            "template": digest_file(template) if template else None,
            "folder": [os.path.abspath(folder), models.state(folder)] if folder else None,
            "identity": identity,
            "home": this.home,
            "threads": this.threads,
            "gpus": this.gpus,
            "code": code_digest(engines.module_of(settings.name), "isheep/serving/chat.py", "isheep/serving/keeper"),
            "python": [sys.executable, versions()],
            "environment": {name: value for name, value in _environment(this).items() if name.startswith(VARIABLES)},
        }
    )


def _environment(this: Job) -> dict[str, str]:
    """Return the environment that the job was started with, and the GPUs that it has leased.

    What libraries have added meanwhile depends on what a stage imports before it needs its engine.
    """
    leased = {name: os.environ[name] for name in (leases.VISIBLE,) if name in os.environ}
    return {**this.environment, **leased}


def _driver() -> tuple[int, int]:
    """Return number and start of the Snakemake that started this job, or of the process above it."""
    above = [pid for pid, words in _ancestors() if any(os.path.basename(word) == "snakemake" for word in words)]
    pid = above[0] if above else os.getppid()
    return pid, started(pid)


def _is_sent() -> bool:
    """Return whether Snakemake sent this job elsewhere (SLURM, Kubernetes), where what it leaves behind is ended."""
    return any(("--mode", "remote") in pairwise(words) for _, words in _ancestors())


def _ancestors() -> Iterator[tuple[int, list[str]]]:
    """Yield number and command line of the processes above this one, the nearest first."""
    pid = os.getppid()
    while pid > 1:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
            status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            return
        yield pid, words
        pid = int(status.rpartition(")")[2].split()[1])
