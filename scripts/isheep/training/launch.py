"""Start a training in as many processes as the settings ask for."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import isheep
from isheep.config.model import Model
from isheep.config.train import Train
from isheep.data.files import read_json, write_json
from isheep.data.rows import read_rows
from isheep.documents.models import TimedTraining
from isheep.errors import UserError
from isheep.training import lora

logger = logging.getLogger(__name__)
PR_SET_PDEATHSIG = 1
PORT, PORTS = 20000, 10000  # the first, and how many: below those that systems give out by themselves
ERROR_LINE = re.compile(r"\b\w*(?:Error|Exception)\b: .*")


def launch(
    settings: Train,
    model: Model,
    model_folder: Path,
    rows_file: Path,
    out: Path,
    work: Path,
    seed: int,
    threads: int,
    gpus: int,
) -> TimedTraining:
    """Train in this process, or under torchrun when several processes or DeepSpeed are asked for; return the report.

    Parameters
    ----------
    rows_file
        Selected rows, JSON Lines.
    threads
        CPU threads of the job on a node, shared out among the processes there.
    gpus
        GPUs that the job was given, on all of its nodes.
    settings, model, model_folder, out, work, seed
        As for `lora.train`.

    Raises
    ------
    UserError
        As for `lora.train`, or the GPUs are not those asked for.
    RuntimeError
        A training process failed in a way that is nobody's setting; the message holds its error line.
    """
    processes = count_processes(settings, gpus)
    lora.check_batch(settings, processes)
    check_gpus(processes, gpus, settings.nodes)
    if processes == 1 and not settings.zero_stage:
        return lora.train(settings, model, model_folder, list(read_rows(rows_file)), out, work, seed, threads)

    each = max(1, threads * settings.nodes // processes)
    spec = {
        "settings": settings.model_dump(mode="json"),
        "model": model.model_dump(mode="json"),
        "model_folder": str(model_folder),
        "rows": str(rows_file),
        "out": str(out),
        "work": str(work),
        "seed": seed,
        "threads": each,
    }
    write_json(work / "spec.json", spec)
    for name in (lora.REPORT, lora.ERROR):
        (work / name).unlink(missing_ok=True)
    command = [*torchrun(processes, settings.nodes), "-m", "isheep.training.lora", str(work / "spec.json")]
    code, error = _run(command, rank_environment(each, gpus))
    if (work / lora.ERROR).exists():
        raise UserError(read_json(work / lora.ERROR))
    if code or not (work / lora.REPORT).exists():
        raise RuntimeError(f"training in {processes} processes ended with exit status {code}: {error}")
    return read_json(work / lora.REPORT)


def count_processes(settings: Train, gpus: int) -> int:
    """Return the number of training processes; `gpus` in the settings is one for each GPU, or one on the CPU."""
    return max(1, gpus) if settings.processes == "gpus" else settings.processes


def check_gpus(processes: int, gpus: int, nodes: int = 1) -> None:
    """Raise UserError unless torch sees exactly the GPUs that the job has on this node, one for each process."""
    import torch

    if processes % nodes or gpus % nodes:
        raise UserError(f"train.nodes: {nodes} nodes cannot share {processes} processes and {gpus} GPUs evenly")
    seen = torch.cuda.device_count()
    if seen != gpus // nodes:
        raise UserError(
            f"the job was given {gpus // nodes} GPUs{' on each node' if nodes > 1 else ''}, torch sees {seen}: set the "
            "rule's `gpu` resource to what it uses, or CUDA_VISIBLE_DEVICES to what it was given"
        )
    if gpus and processes != gpus:
        raise UserError(f"train.processes is {processes} but the job was given {gpus} GPUs; set train.processes: gpus")


def torchrun(processes: int, nodes: int) -> list[str]:
    """Return the command before what the processes are to run: torchrun here, or by SLURM once on each node.

    The processes of several nodes meet at the first node of the job, at a port that follows from its number.

    Raises
    ------
    UserError
        Several nodes are asked for outside of a SLURM job.
    """
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes // nodes)]
    if nodes == 1:
        return [*run, "--standalone"]
    job, listed = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_JOB_NODELIST")
    if not job or not listed:
        raise UserError(f"train.nodes: {nodes} nodes are given by SLURM alone (--profile slurm); here write 1")
    said = subprocess.run(["scontrol", "show", "hostnames", listed], capture_output=True, text=True, check=True)
    hosts = said.stdout.split()
    if len(hosts) != nodes:
        raise UserError(f"train.nodes: {nodes} asked for, SLURM gave {len(hosts)} ({' '.join(hosts)})")
    task = ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--overlap", "--kill-on-bad-exit=1"]
    meet = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{hosts[0]}:{PORT + int(job) % PORTS}", "--rdzv-id", job]
    return [*task, *run, "--nnodes", str(nodes), *meet]


def rank_environment(threads: int, gpus: int) -> dict[str, str]:
    """Return the environment of the training processes.

    DeepSpeed loads its checkpoints with unpickling allowed; torch is told to refuse it wherever it is asked.
    """
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(isheep.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
    }
    return environment if gpus else environment | {"DS_ACCELERATOR": "cpu"}


def _run(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run a command, log its output line by line; return its exit status and the first error named in it."""
    error = ""
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=end_with_parent,
    ) as process:
        for line in process.stdout or ():
            logger.info("%s", line.rstrip())
            # After a rank's traceback torchrun prints a page of its own, which says nothing more.
            if match := ERROR_LINE.search(line):
                error = error or match[0]
    return process.returncode, error or "no error named"


def end_with_parent() -> None:
    """Have the kernel end this process when its parent dies (Linux), so that a killed job leaves no orphans."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
