"""What a run cost: tokens, seconds and GPU-hours by stage and round, and by benchmark in proportion to tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from isheep.config.evaluation import JUDGED
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
    """Return the seconds that each benchmark of iter_i took; None when unknown.

    Those of evaluate_model and judge_answers are shared out by tokens, to all benchmarks and to the judged ones;
    lm-eval's tasks have their own stage.
    """
    told = scores["benchmarks"]
    own = [name for name in told if told[name]["kind"] != "harness"]
    shared = {
        "evaluate_model": own,
        "judge_answers": [name for name in own if told[name]["kind"] in JUDGED],
        "run_harness": [name for name in told if name not in own],
    }
    found: dict[str, float | None] = dict.fromkeys(told)
    for stage in stages:
        names = shared.get(stage.name, []) if stage.round == i else []
        tokens = {name: benchmark_tokens(told[name]) for name in names}
        for name in names:
            share = tokens[name] / sum(tokens.values()) if any(tokens.values()) else 1.0 if len(names) == 1 else None
            found[name] = None if share is None else (found[name] or 0.0) + stage.seconds * share
    return found


def clock(seconds: float | None) -> str:
    """Return a duration as people read it."""
    if seconds is None:
        return "\N{EN DASH}"
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
