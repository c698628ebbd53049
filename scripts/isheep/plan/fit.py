"""Whether what a run asks of a machine is enough: memory of engine, training and merging, and disk."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from isheep.config.resources import Need
from isheep.config.run import Run
from isheep.plan.shape import GIB, Shape
from isheep.training.checks import BYTES, existing

OVERHEAD_GIB = 1.5  # Python, the libraries, CUDA's context and kernels, of one process
MERGE_COPIES = 3  # of the largest tensor: as read, as summed, as written
OPTIMIZER_BYTES = 16  # an adapter's weight: itself, its gradient, two moments of Adam, in float32
NF4_BYTES = 0.57  # of a weight in 4 bits with its scales (Dettmers et al. 2023, 3)
TEXT_BYTES = 12  # of a token, in rows and journals together


@dataclass(frozen=True)
class Fit:
    """Memory or disk that something takes.

    Parameters
    ----------
    what
        Stages, or disk.
    needs, has
        GiB: what it takes at least; what there is, None where that is not known.
    parts
        What it is made of, in words.
    remedy
        What to change where it does not fit.
    least
        GiB below which a start is refused; `needs` where not given.
    """

    what: str
    needs: float
    has: float | None
    parts: str
    remedy: str
    least: float | None = None

    @property
    def refused(self) -> bool:
        """Whether it cannot even begin."""
        return self.has is not None and self.has < (self.needs if self.least is None else self.least)

    @property
    def fits(self) -> bool:
        """Whether there is enough, as far as known."""
        return self.has is None or self.needs <= self.has

    @property
    def line(self) -> str:
        """One line: numbers and verdict."""
        has = "" if self.has is None else f" of {self.has:,.1f}"
        verdict = "fits" if self.fits else f"DOES NOT FIT: {self.remedy}"
        return f"{self.what}: {self.needs:,.1f}{has} GiB ({self.parts}); {verdict}"


def engine(what: str, key: str, shape: Shape, run: Run, need: Need, gpu_gib: float | None) -> Fit:
    """Return the memory of an engine: weights and keys and values of what it decodes together.

    Parameters
    ----------
    what, key
        The stages; their key in section `resources`.
    shape, run, need
        The model, the settings, what the jobs ask for.
    gpu_gib
        Memory of one GPU; None where there is none to know.
    """
    settings = run.engine
    weights = shape.weights_gib(settings.dtype)
    one = shape.cache_bytes(settings.dtype) * settings.context_length / GIB
    count, length = settings.max_num_seqs, settings.context_length
    asked = f"{count} texts of {length:,} tokens take {one * count:,.1f}"
    if need.gpus:
        parallel = need.gpus if settings.tensor_parallel == "gpus" else settings.tensor_parallel
        parallel = min(need.gpus, parallel * settings.pipeline_parallel)
        has = None if gpu_gib is None else gpu_gib * settings.gpu_memory_utilization * parallel
        needs = weights + OVERHEAD_GIB * parallel + one
        room = max(0.0, (has or 0) - needs + one)
        remedy = f"raise resources.{key}.gpus (tensor parallel), or engine.dtype: bfloat16, or a shorter context"
    else:
        has, room = need.mem_gib, settings.cpu_cache_gib
        needs = weights + settings.cpu_cache_gib + OVERHEAD_GIB
        remedy = f"raise resources.{key}.mem_gib, on a machine that has it, or engine.dtype: bfloat16"
    holds = "" if need.gpus and has is None else f", of which {min(count, int(room / one))} fit at once"
    return Fit(what, needs, has, f"weights {weights:,.1f}; keys and values: {asked}{holds}", remedy)


def training(shape: Shape, run: Run, need: Need, gpu_gib: float | None) -> Fit:
    """Return the memory of training, on one GPU or in the job: weights, optimizer of the adapter, activations."""
    settings = run.train
    processes = max(1, need.gpus) if settings.processes == "gpus" else settings.processes
    shared = processes if settings.zero_stage else 1
    held = shape.parameters * NF4_BYTES / GIB if settings.quantize == "nf4" else shape.weights_gib(settings.dtype)
    weights = held / (shared if settings.zero_stage == 3 else 1)
    optimizer = shape.adapter_parameters(settings.lora.rank) * OPTIMIZER_BYTES / GIB / shared
    tokens = settings.micro_batch_size * settings.max_length * (2 if settings.objective == "dpo" else 1)
    activations = shape.activation_bytes(tokens, settings.dtype, settings.gradient_checkpointing) / GIB
    needs = weights + optimizer + activations + OVERHEAD_GIB
    parts = f"weights {weights:,.1f}, optimizer {optimizer:.1f}, activations {activations:.1f}"
    if need.gpus:
        remedy = "train.gradient_checkpointing: true, train.zero_stage: 3 on more GPUs, or train.dtype: bfloat16"
        return Fit("train_adapter, on each GPU", needs, gpu_gib, parts, remedy)
    remedy = "raise resources.train.mem_gib, on a machine that has it, or train.dtype: bfloat16"
    return Fit("train_adapter", (needs - OVERHEAD_GIB) * processes + OVERHEAD_GIB, need.mem_gib, parts, remedy)


def merging(shape: Shape, run: Run, need: Need) -> Fit:
    """Return the memory of merging, tensor by tensor (`training.fold`): some copies of the largest in float32."""
    tensor = MERGE_COPIES * shape.largest_tensor * BYTES["float32"] / GIB
    remedy = "raise resources.merge.mem_gib, on a machine that has it"
    parts = f"the largest tensor in float32, {MERGE_COPIES} times {tensor / MERGE_COPIES:,.1f}"
    return Fit("merge_model", tensor + OVERHEAD_GIB, need.mem_gib, parts, remedy)


def disk(shape: Shape, run: Run, models: int, tokens: int, folder: Path) -> Fit:
    """Return what is still to be written: merged models, adapters with two checkpoints each, rows and journals.

    Parameters
    ----------
    shape, run
        The model, the settings.
    models
        Models that are still to be made.
    tokens
        Tokens that are still to be read or written.
    folder
        Where results go.
    """
    merged = models * shape.weights_gib(run.merge.dtype)
    adapters = models * shape.adapter_parameters(run.train.lora.rank) * (BYTES["float32"] + 2 * OPTIMIZER_BYTES) / GIB
    texts = tokens * TEXT_BYTES / GIB
    parts = f"{models} models {merged:,.1f}, adapters and checkpoints {adapters:.1f}, rows and journals {texts:.1f}"
    free = shutil.disk_usage(existing(folder)).free / GIB
    remedy = "free some, merge.dtype: bfloat16, or delete models of earlier rounds as it goes"
    return Fit("disk", merged + adapters + texts, free, parts, remedy, least=merged / models if models else 0.0)
