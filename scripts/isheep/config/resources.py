"""Section `resources`: what a job of each model stage asks of the machine. It never decides what comes out."""

from __future__ import annotations

from pydantic import Field

from isheep.config.section import Section


class Need(Section):
    """What one job asks for at its first try; memory and minutes double at each retry."""

    gpus: int = Field(0, ge=0, description="GPUs.")
    cpus: int = Field(2, ge=1, description="CPU cores (threads).")
    mem_gib: float = Field(8.0, gt=0, description="Memory, in GiB.")
    minutes: int = Field(60, ge=1, description="Run time.")


FALLBACK = {"evaluate": "generate", "judge": "assess"}


class Resources(Section):
    """Needs by kind of stage; a model preset sets them for its size."""

    generate: Need = Field(Need(), description="generate_prompts and generate_outputs.")
    assess: Need = Field(Need(), description="assess_outputs, pair_answers and probe_data.")
    train: Need = Field(Need(), description="train_adapter.")
    merge: Need = Field(Need(), description="merge_model and identify_model.")
    score: Need = Field(Need(minutes=120), description="score_model, which runs a program on each core.")

    evaluate: Need | None = Field(None, description="evaluate_model and run_harness; as `generate` when not given.")
    judge: Need | None = Field(None, description="judge_answers and calibrate_judge; as `assess` when not given.")

    @property
    def gpus(self) -> int:
        """The most GPUs that a job asks for."""
        return max(need.gpus for _, need in self if need is not None)

    def at(self, kind: str, attempt: int) -> Need:
        """Return what a job of a kind of stage asks for at its `attempt`-th try (from 1)."""
        need: Need = getattr(self, kind) or getattr(self, FALLBACK[kind])
        doubled = 2 ** (attempt - 1)
        return need.model_copy(update={"mem_gib": need.mem_gib * doubled, "minutes": need.minutes * doubled})
