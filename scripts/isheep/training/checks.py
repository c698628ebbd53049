"""What must hold of an adapter before it is merged, and of the disk before it is written to."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isheep.errors import UserError

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
FULL = 2**20  # bytes
# Where control groups keep limit and use, by the name that /proc/self/cgroup has for them: version 2, version 1.
FILES = {
    "": ("memory.max", "memory.current"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes"),
}
RETRAIN = "delete the adapter's folder and train again"


def check_adapter(folder: str | Path) -> dict[str, Any]:
    """Return the tensor and parameter counts of a good adapter.

    Under ZeRO-3 a trainer can save weights that were never gathered (files of a few dozen bytes, tensors without
    elements), and a run that never stepped leaves every `lora_B` at its initial zero.

    Raises
    ------
    UserError
        A file is missing or unreadable, there is no tensor or one without elements, a value is not finite, or every
        `lora_B` is zero. The message names the file and the remedy.
    """
    path = Path(folder) / ADAPTER_WEIGHTS
    for file in (path, path.with_name(ADAPTER_CONFIG)):
        if not file.is_file():
            raise UserError(f"{file}: missing, so this is no adapter; {RETRAIN}")
    tensors = parameters = 0
    moved = False
    for name, values in _tensors(path):
        tensors += 1
        parameters += values.size
        if not values.size:
            raise UserError(f"{path}: {name} holds nothing; weights were saved before they were gathered; {RETRAIN}")
        # One pass: NaN and inf both survive into the extremes.
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise UserError(f"{path}: {name} has values that are not finite; lower train.learning_rate and {RETRAIN}")
        moved = moved or ("lora_B" in name and (low != 0 or high != 0))
    if not tensors:
        raise UserError(f"{path}: holds no tensor ({path.stat().st_size} bytes); {RETRAIN}")
    if not moved:
        raise UserError(
            f"{path}: every lora_B is zero, so the adapter changes nothing; raise train.learning_rate or train.epochs "
            f"and {RETRAIN}"
        )
    return {"tensors": tensors, "parameters": parameters}


def _tensors(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield name and numpy array of every tensor; bfloat16, which numpy lacks, comes as float32."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            plain = all(file.get_slice(name).get_dtype() != "BF16" for name in names)
            if plain:
                for name in names:
                    yield name, file.get_tensor(name)
        if not plain:
            with safe_open(path, framework="pt") as file:
                for name in names:
                    yield name, file.get_tensor(name).float().numpy()
    except SafetensorError as error:
        raise UserError(f"{path}: damaged ({error}); {RETRAIN}") from None


@contextmanager
def full_disk_named(folder: str | Path) -> Iterator[None]:
    """Turn whatever a library raises when the disk of `folder` is full into a UserError that says so."""
    try:
        yield
    except Exception as error:
        said = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        free = shutil.disk_usage(existing(folder)).free
        # torch says no more of it than that a write failed.
        if said or ("writ" in str(error) and free < FULL):
            raise UserError(
                f"{folder}: no space left on its disk ({free / 2**20:.0f} MiB free); what was finished is kept: free "
                "some, then start again"
            ) from None
        raise


def existing(path: str | Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    path = Path(path).absolute()
    while not path.exists():
        path = path.parent
    return path


def check_free_space(model_folder: str | Path, out: str | Path, dtype: str) -> None:
    """Raise UserError when the disk of `out` has no room for the weights of `model_folder` written as `dtype`."""
    parameters = count_parameters(model_folder)
    needed = parameters * BYTES[dtype]
    free = shutil.disk_usage(existing(out)).free
    if free < needed:
        gib = 2**30
        raise UserError(
            f"{out}: no space left for the merged model: it needs {needed / gib:.2f} GiB ({parameters / 1e6:.1f} M "
            f"parameters in {dtype}), {free / gib:.2f} GiB are free; free some, or set merge.dtype: bfloat16"
        )


def fits_memory(needed: int, gpus: int) -> tuple[bool, str]:
    """Return whether so many bytes of weights fit what this job has, and the sizes in words.

    Parameters
    ----------
    needed
        Bytes of the weights; a fifth more is counted for what computing takes.
    gpus
        GPUs of the job; without one the memory that is free counts, and what SLURM or a control group allow.
    """
    if gpus:
        import torch

        free, where = sum(torch.cuda.mem_get_info(number)[0] for number in range(gpus)), f"{gpus} GPUs"
    else:
        free, where = _memory_at_hand(), "the memory"
    gib = 2**30
    wanted = needed * 6 // 5
    return wanted <= free, f"the model needs {wanted / gib:.1f} GiB in float32, {where} has {free / gib:.1f} GiB free"


def _memory_at_hand(root: Path = Path("/")) -> int:
    """Return the bytes of memory that this process may still take, as far as the system says.

    What is free on the machine, what is left of a limit of its control groups (versions 1 and 2), and what SLURM gave
    the job. `root` is where the system's files are.
    """
    told = _lines(root / "proc/meminfo")
    free = [int(line.split()[1]) * 2**10 for line in told if line.startswith("MemAvailable")]
    if "SLURM_MEM_PER_NODE" in os.environ:
        free.append(int(os.environ["SLURM_MEM_PER_NODE"]) * 2**20)
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers in FILES:
            free += _left_in(root / "sys/fs/cgroup" / controllers, path.strip("/"), *FILES[controllers])
    return min(free, default=0)


def _left_in(top: Path, path: str, limit: str, used: str) -> list[int]:
    """Return what the limits of a control group and of those above it leave, where they have any."""
    groups = [top / path, *(top / parent for parent in Path(path).parents)]
    told = [(_lines(group / limit), _lines(group / used)) for group in groups]
    return [int(most[0]) - int(taken[0]) for most, taken in told if most and taken and most[0].isdigit()]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


def count_parameters(model_folder: str | Path) -> int:
    """Return the number of weights in a model folder, read from the headers of its safetensors files.

    Raises
    ------
    UserError
        A file is damaged.
    """
    total = 0
    for path in sorted(Path(model_folder).glob("*.safetensors")):
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            try:
                header = json.loads(file.read(size))
            except ValueError:
                raise UserError(f"{path}: not a safetensors file; fetch or merge the model again") from None
        total += sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    return total
