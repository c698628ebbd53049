"""Folders in which the workflow runs on SLURM, and what SLURM and the journals know of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from workplace import FAKE, REPOSITORY, Workplace

STATE = Path(os.environ.get("ISHEEP_SLURM", Path(os.environ.get("TMPDIR", "/tmp")) / "isheep-slurm"))
PATIENCE = 3000
FIELDS = (
    "JobIDRaw",
    "Comment",
    "Partition",
    "AllocTRES",
    "AllocCPUS",
    "ReqMem",
    "State",
    "NodeList",
    "Start",
    "End",
    "WorkDir",
)


@dataclass(frozen=True)
class Record:
    """A job as SLURM's accounting knows it."""

    id: str
    rule: str
    partition: str
    gpus: int
    cpus: int
    memory_mb: int
    state: str
    node: str
    start: str
    end: str

    @classmethod
    def of(cls, line: str) -> Record:
        job, comment, partition, tres, cpus, memory, state, node, start, end, _ = line.split("|")
        rule = comment.removeprefix("rule_").partition("_wildcards_")[0]
        gpus = re.search(r"gres/gpu=(\d+)", tres)
        megabytes = float(memory[:-1]) * {"M": 1, "G": 1024}[memory[-1]]
        counts = (int(gpus[1]) if gpus else 0, int(cpus), round(megabytes))
        return cls(job, rule, partition, *counts, state.split()[0], node, start, end)


class SlurmPlace(Workplace):
    """A copy of the repository, as a clone would be, in which `snakemake --profile slurm` is typed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = datetime.now().isoformat(timespec="seconds")
        for name in ("Snakefile", "config", "envs", "profiles", "rules", "scripts", "slurm"):
            source = REPOSITORY / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(
                source, folder / name, **({"ignore": shutil.ignore_patterns("__pycache__")} if source.is_dir() else {})
            )

    def command(self, *arguments: str) -> list[str]:
        # Jobs here last about so long; a question in vain makes the next wait 10 s longer.
        quick = ("--slurm-init-seconds-before-status-checks", "12", "--latency-wait", "10")
        snakemake = str(Path(sys.executable).with_name("snakemake"))
        return [snakemake, "--profile", "slurm", "--configfile", "config.yaml", *quick, *arguments]

    def start(self, *arguments: str) -> Driver:
        """Start a driver and come back at once."""
        return Driver(self, arguments)

    def run(self, *arguments: str) -> Driver:
        """Run a driver to its end."""
        driver = self.start(*arguments)
        driver.wait()
        return driver

    def run_locally(self, *arguments: str) -> None:
        """Run without SLURM."""
        local = [sys.executable, "-m", "snakemake", "--configfile", "config.yaml", *arguments]
        done = subprocess.run(local, cwd=self.folder, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def begin_as(self, other: SlurmPlace) -> None:
        """Take over the base model's identity, so that the first job is one of the prompts."""
        shutil.copytree(other.folder / "results/a/iter_0", self.folder / "results/a/iter_0")

    def entries(self, stage: str = "generate_prompts") -> list[bytes]:
        """Return the finished requests in a stage's journals, without the first line of each file."""
        files = self.folder.glob(f"results/a/d_0/.work/{stage}/*/*.jsonl")
        return [line for file in sorted(files) for line in file.read_bytes().splitlines()[1:]]

    def records(self) -> list[Record]:
        """Return the jobs of this folder, requeued ones each time, from SLURM's accounting when all have ended."""
        command = ["sacct", "--allocations", "--duplicates", "--noheader", "--parsable2", f"--starttime={self.made}"]
        for _ in range(60):
            lines = subprocess.check_output([*command, f"--format={','.join(FIELDS)}"], text=True).splitlines()
            found = [Record.of(line) for line in lines if line.endswith(f"|{self.folder}")]
            if found and all(record.state not in ("PENDING", "RUNNING") for record in found):
                return found
            time.sleep(1)
        raise AssertionError(f"jobs of {self.folder} never ended: {found}")

    def jobs(self, state: str = "RUNNING") -> list[tuple[str, str]]:
        """Return id and node of the jobs of this folder that are in a state now."""
        command = ["squeue", "--noheader", f"--states={state}", "--format=%A|%N|%Z"]
        lines = subprocess.check_output(command, text=True).splitlines()
        return [tuple(line.split("|")[:2]) for line in lines if line.endswith(f"|{self.folder}")]

    def freeze(self, frozen: bool = True) -> None:
        """Stop the rules' scripts that run in this folder, or let them go on."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                here = os.readlink(process / "cwd") == str(self.folder)
                if here and b"/.snakemake/scripts/" in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGSTOP if frozen else signal.SIGCONT)

    def devices(self, record: Record) -> set[int]:
        """Return the numbers of GPUs that the steps of a job saw."""
        lines = (line.split() for line in (STATE / "log" / "devices").read_text().splitlines())
        return {0 if seen == "none" else len(seen.split(",")) for job, seen in lines if job == record.id}

    def logs(self, pattern: str = "**/*") -> str:
        """Return the text of the rules' logs."""
        return "\n".join(file.read_text() for file in sorted(self.folder.glob(f"logs/{pattern}.log")))


class Driver:
    """A running `snakemake`."""

    def __init__(self, place: SlurmPlace, arguments: tuple[str, ...]) -> None:
        self.place = place
        self.output = place.folder / f"driver-{len(list(place.folder.glob('driver-*')))}.txt"
        with open(self.output, "w") as handle:
            self._process = subprocess.Popen(
                place.command(*arguments), cwd=place.folder, stdout=handle, stderr=handle, start_new_session=True
            )

    @property
    def text(self) -> str:
        return self.output.read_text()

    @property
    def code(self) -> int | None:
        return self._process.poll()

    def wait(self) -> int:
        self._process.wait(PATIENCE)
        return self._process.returncode

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something is so while the driver is at work."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.code is None, f"{what}: the driver ended with {self.code} before it\n{self.text}"
            assert time.monotonic() < deadline, f"{what}: not within {PATIENCE} s\n{self.text}"
            time.sleep(0.2)

    def kill(self) -> None:
        """Kill the driver alone, as a login node that goes down would; its jobs live on."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        if self.code is None:
            os.killpg(self._process.pid, signal.SIGKILL)


def faulty(delay_ms: float = 0, **need: float) -> dict:
    """Return the settings of a run of one round whose prompts take a while to make."""
    asked = {"gpus": 1, "cpus": 1, "mem_gib": 0.6, "minutes": 10, **need}
    resources = {"generate": asked, "assess": asked}
    return {**FAKE, "rounds": 1, "engine": {"misbehave": {"delay_ms": delay_ms}}, "resources": resources}


def only_partition(place: SlurmPlace, name: str) -> tuple[str, ...]:
    """Return the arguments that send every job of a place to one partition."""
    file = place.folder / "partitions.yaml"
    file.write_text(yaml.safe_dump({"partitions": {name: {"max_gpu": 8}}}))
    return ("--slurm-partition-config", str(file))
