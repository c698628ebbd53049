"""One stage of one round as its record tells, in plain fields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from isheep.documents.records import Record


@dataclass(frozen=True)
class Stage:
    """A stage that ran; `key` is its name in a manifest, `owner` the run that made it, `outputs` have their sha256."""

    key: str
    name: str
    round: int
    owner: str
    tokens: dict[str, int]
    seconds: float
    gpu_seconds: float
    started: str
    hardware: str
    inputs: tuple[str, ...]
    outputs: dict[str, str]
    own_seconds: float = 0.0  # without its shards
    peak_memory_mib: float | None = None

    @property
    def gpu_hours(self) -> float:
        """Seconds times GPUs, in hours."""
        return self.gpu_seconds / 3600


def stage_of(key: str, path: str, record: Record) -> Stage:
    """Return a stage from its record; its seconds are those of its shards, too.

    Parameters
    ----------
    key
        Like `d_0/generate_prompts`.
    path
        Of the record, as manifests name it: `results/RUN/...`.
    record
        What is in it.
    """
    made, observed = record["made"], record["observed"]
    hardware, shards = observed["hardware"], observed.get("shards", [])
    own = observed["seconds"] * hardware["gpus"]
    return Stage(
        key=key,
        name=made["stage"],
        round=made["round"] or 0,
        owner=PurePosixPath(path).parts[1],
        tokens=made["tokens"],
        seconds=observed["seconds"] + sum(shard["seconds"] for shard in shards),
        gpu_seconds=own + sum(shard["seconds"] * shard["gpus"] for shard in shards),
        started=observed["started"],
        hardware=f"{hardware['cpu']} ({hardware['machine']})" + (f", {hardware['gpu']}" if "gpu" in hardware else ""),
        inputs=tuple(made["inputs"]),
        outputs=made["outputs"],
        own_seconds=observed["seconds"],
        peak_memory_mib=observed.get("peak_memory_mib"),
    )
