"""What a run cost: tokens, seconds and GPU-hours by stage and round, and by benchmark in proportion to tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from isheep.report.gather import Stage

# What a stage does, for bars that eight colours can tell apart.
FAMILIES: dict[str, tuple[str, ...]] = {
    "write prompts": ("generate_prompts",),
    "write answers": ("generate_outputs",),
    "assess": ("assess_outputs",),
    "train": ("train_adapter",),
    "merge": ("merge_model",),
    "evaluate": ("evaluate_model", "run_harness", "identify_judge", "calibrate_judge", "judge_answers", "score_model"),
    "measure data": ("probe_data", "measure_data"),
}
OTHER = "all else"


@dataclass(frozen=True)
class Cost:
    """Sums over some stages."""

    tokens: int
    seconds: float
    gpu_hours: float


def total(stages: Iterable[Stage]) -> Cost:
    """Return what some stages cost together."""
    stages = list(stages)
    return Cost(
        sum(sum(stage.tokens.values()) for stage in stages),
        sum(stage.seconds for stage in stages),
        sum(stage.gpu_hours for stage in stages),
    )


def by_stage(stages: Sequence[Stage]) -> dict[str, dict[int, Cost]]:
    """Return the cost of every stage in every round, in the order in which they ran first."""
    names = list(dict.fromkeys(stage.name for stage in stages))
    rounds = sorted({stage.round for stage in stages})
    return {
        name: {i: total(found) for i in rounds if (found := [s for s in stages if (s.name, s.round) == (name, i)])}
        for name in names
    }


def family(stage: str) -> str:
    """Return what a stage does in two words."""
    return next((name for name, stages in FAMILIES.items() if stage in stages), OTHER)


def benchmark_tokens(told: dict[str, Any]) -> int:
    """Return the tokens that a benchmark read, wrote and scored."""
    return sum((told.get("tokens") or {}).values())


def benchmark_seconds(stages: Iterable[Stage], i: int, scores: dict[str, Any]) -> dict[str, float | None]:
    """Return the seconds of evaluate_model of iter_i, shared out to benchmarks by their tokens; None when unknown."""
    asked = (stage for stage in stages if stage.name == "evaluate_model" and stage.round == i)
    seconds = next((stage.seconds for stage in asked), None)
    tokens = {name: benchmark_tokens(told) for name, told in scores["benchmarks"].items()}
    everything = sum(tokens.values())
    return {name: seconds * count / everything if seconds and everything else None for name, count in tokens.items()}


def clock(seconds: float | None) -> str:
    """Return a duration as people read it."""
    if seconds is None:
        return "\N{EN DASH}"
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
