"""Section `resources`: what a job of each model stage asks of the machine. It never decides what comes out."""

from __future__ import annotations

from pydantic import Field

from isheep.config.section import Section


class Need(Section):
    """What one job asks for at its first try; memory and minutes double at each retry, up to `limit`."""

    gpus: int = Field(0, ge=0, description="GPUs.")
    cpus: int = Field(2, ge=1, description="CPU cores (threads).")
    mem_gib: float = Field(8.0, gt=0, description="Memory, in GiB.")
    minutes: int = Field(60, ge=1, description="Run time.")


class Limit(Section):
    """Where doubling stops: what the largest node and the partition's time limit allow. SLURM never starts more."""

    mem_gib: float | None = Field(None, gt=0, description="Most memory that a retry asks for, in GiB.")
    minutes: int | None = Field(None, ge=1, description="Longest run time that a retry asks for.")


class Resources(Section):
    """Needs by kind of stage; a model preset sets them for its size."""

    generate: Need = Field(Need(), description="generate_prompts and generate_outputs.")
    assess: Need = Field(Need(), description="assess_outputs.")
    train: Need = Field(Need(), description="train_adapter.")
    merge: Need = Field(Need(), description="merge_model and identify_model.")
    limit: Limit = Field(Limit(), description="Where retries stop to ask for more.")

    def at(self, kind: str, attempt: int) -> Need:
        """Return what a job of a kind of stage asks for at its `attempt`-th try (from 1)."""
        need: Need = getattr(self, kind)
        most_gib = max(need.mem_gib, self.limit.mem_gib or float("inf"))
        most_minutes = max(need.minutes, self.limit.minutes or float("inf"))
        doubled = 2 ** (attempt - 1)
        scaled = {
            "mem_gib": min(need.mem_gib * doubled, most_gib),
            "minutes": min(need.minutes * doubled, most_minutes),
        }
        return need.model_copy(update=scaled)
