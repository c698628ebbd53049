"""Section `budget`: what a run may take before it stops at the end of a round. It decides no result of a round."""

from __future__ import annotations

from pydantic import Field

from isheep.config.section import Section

UNITS = {"gpu_hours": "GPU-hours", "hours": "hours"}
"""What can be limited, and how people call it."""


class Budget(Section):
    """Before a round whose end the budget would not reach, the run stops with what it has."""

    gpu_hours: float | None = Field(None, gt=0, description="Hours of jobs, times the GPUs of each; null: no limit.")
    hours: float | None = Field(
        None, gt=0, description="Hours of jobs, added up as `snakemake plan` does; null: no limit."
    )

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by unit."""
        return {unit: limit for unit in UNITS if (limit := getattr(self, unit)) is not None}
