"""How long work takes: from what devices give, corrected by what finished runs in results/ really took."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from isheep.config.resources import Need
from isheep.config.run import Run
from isheep.plan.shape import Shape
from isheep.plan.work import Work
from isheep.runner.portable import ROOT
from isheep.training.checks import BYTES

DEVICES = "config/plan/devices.yaml"
ASSUMED = "H100"
FEWEST = 3  # finished runs of which an error can be told
SMALLEST_ERROR = 1.2
MERGE_PASSES = 4  # read, sum, write, read back: each moves all weights once
DISK_BYTES = 5e8  # a second


@dataclass(frozen=True)
class Machine:
    """What jobs run on.

    Parameters
    ----------
    gpu
        Kind of its GPUs, a key of `devices.yaml`; None for a CPU alone.
    known
        Whether these GPUs are there or were named; else they are assumed, and nothing is refused for them.
    """

    gpu: str | None
    known: bool

    @property
    def gpu_gib(self) -> float | None:
        """Memory of one GPU, GiB; None without one."""
        return float(devices()["gpus"][self.gpu]["memory_gib"]) if self.gpu else None

    @property
    def words(self) -> str:
        """How people call it."""
        if self.gpu is None:
            return "CPU"
        return self.gpu if self.known else f"{self.gpu}, assumed (name yours: --config gpu=A100)"


class Taken(NamedTuple):
    """What a stage of a finished run took against its plan, in seconds."""

    run: str
    stage: str
    planned: float
    took: float

    @property
    def ratio(self) -> float:
        """Seconds taken divided by seconds planned."""
        return self.took / self.planned


@dataclass(frozen=True)
class Learned:
    """What stages of finished runs took against their plans."""

    taken: Sequence[Taken] = ()

    def correction(self, stage: str, run: str | None = None) -> float:
        """Return the factor by which a stage's plan is corrected: the geometric mean of its ratios, or of all.

        Parameters
        ----------
        stage
            The stage.
        run
            Whose plan it is: its own rounds, where there are some, had its machine and that machine's load.
        """
        ratios = [each.ratio for each in self.taken if (each.stage, each.run) == (stage, run)]
        ratios = ratios or [each.ratio for each in self.taken if each.stage == stage]
        ratios = ratios or [each.ratio for each in self.taken]
        return math.exp(_mean([math.log(ratio) for ratio in ratios])) if ratios else 1.0

    def error(self, without: float) -> float:
        """Return the factor within which a total likely is: a standard deviation of whole runs' corrected plans.

        Stages of one run share its machine and that machine's load, so they tell nothing of another run.

        Parameters
        ----------
        without
            What it is where there are too few runs to learn from.
        """
        runs = dict.fromkeys(each.run for each in self.taken)
        if len(runs) < FEWEST:
            return without
        off = [math.log(self._off(run)) for run in runs]
        return max(SMALLEST_ERROR, math.exp(math.sqrt(_mean([each * each for each in off]))))

    def _off(self, run: str) -> float:
        """Return what a run took divided by its corrected plan."""
        own = [each for each in self.taken if each.run == run]
        return sum(each.took for each in own) / sum(each.planned * self.correction(each.stage) for each in own)


@cache
def devices() -> dict[str, Any]:
    """Return what is known of devices."""
    import yaml

    known: dict[str, Any] = yaml.safe_load((ROOT / DEVICES).read_text(encoding="utf-8"))
    return known


def machine(asked: str | None, gpus: bool) -> Machine:
    """Return what jobs run on: GPUs as named, as this machine has them, or as assumed; a CPU where none are asked."""
    if not gpus:
        return Machine(None, True)
    seen = asked or _visible() or ""
    kind = next((kind for kind in devices()["gpus"] if kind.lower() in seen.lower()), None)
    return Machine(kind or ASSUMED, kind is not None)


def _visible() -> str | None:
    """Return the name of this machine's first GPU."""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.partition("\n")[0] or None


def seconds(stage: str, work: Work, shape: Shape, run: Run, need: Need, on: Machine) -> float:
    """Return how long one job would take for a stage's work, its start included, before any correction.

    Reading is bound by operations, two for each weight a token; writing by memory, all weights for each token of the
    texts that are decoded together; training passes a token forth and back, without the gradients of frozen weights.
    """
    known = devices()
    start = known["start_s"]["gpu" if need.gpus else "cpu"]
    if stage == "merge_model":
        moved = MERGE_PASSES * shape.parameters * BYTES["float32"]
        return float(start + moved / DISK_BYTES + _decoding(work, shape, run, need, on, together=work.requests or 1))
    if stage == "train_adapter":
        passes = 6 if run.train.gradient_checkpointing else 4
        rate = _rate("training", run.train.dtype, need, on)
        return float(start + passes * shape.used * work.trained / rate)
    if not work.requests:
        return 0.0
    reading = 2 * shape.used * work.read / _rate("reading", run.engine.dtype, need, on)
    return float(start + reading + _decoding(work, shape, run, need, on, run.engine.max_num_seqs))


def _decoding(work: Work, shape: Shape, run: Run, need: Need, on: Machine, together: int) -> float:
    if not work.written:
        return 0.0
    together = min(together, work.requests)
    context = (work.read + work.written / 2) / work.requests  # of a text that is half written
    step = shape.used * BYTES[run.engine.dtype] + together * context * shape.cache_bytes(run.engine.dtype)
    by_memory = step / _bandwidth(need, on) / together
    by_operations = 2 * shape.used / _rate("reading", run.engine.dtype, need, on)
    return work.written * max(by_memory, by_operations)


def _rate(share: str, dtype: str, need: Need, on: Machine) -> float:
    """Return operations a second of all of a job's devices."""
    known = devices()
    if not need.gpus or on.gpu is None:
        return float(known["core"][share] * need.cpus)
    slower = known["float32"] if dtype == "float32" else 1.0
    return float(known["gpus"][on.gpu]["flops"] * known["shares"][share] * slower * need.gpus)


def _bandwidth(need: Need, on: Machine) -> float:
    known = devices()
    if not need.gpus or on.gpu is None:
        return float(known["core"]["writing"] * need.cpus)
    return float(known["gpus"][on.gpu]["bytes"] * known["shares"]["writing"] * need.gpus)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
