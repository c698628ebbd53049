"""What a run cost: tokens, seconds and GPU-hours by stage and round, and by benchmark in proportion to tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from isheep.config.evaluation import JUDGED
from isheep.documents.models import BenchmarkScores, ModelScores
from isheep.documents.stages import Stage
from isheep.documents.tables import costs_table, rows_of


@dataclass(frozen=True)
class Cost:
    """Sums over some stages."""

    tokens: int
    seconds: float
    gpu_hours: float


def total(stages: Iterable[Stage]) -> Cost:
    """Return what some stages cost together."""
    sums = costs_table(stages)[["tokens", "seconds", "gpu_hours"]].sum()
    return Cost(int(sums["tokens"]), float(sums["seconds"]), float(sums["gpu_hours"]))


def by_stage(stages: Iterable[Stage]) -> dict[str, dict[int, Cost]]:
    """Return the cost of every stage in every round, in the order in which they ran first."""
    costs: dict[str, dict[int, Cost]] = {}
    groups = costs_table(stages).groupby(["stage", "round"], sort=False)[["tokens", "seconds", "gpu_hours"]].sum()
    for row in rows_of(groups.reset_index()):
        costs.setdefault(row["stage"], {})[row["round"]] = Cost(row["tokens"], row["seconds"], row["gpu_hours"])
    return costs


def benchmark_tokens(entry: BenchmarkScores) -> int:
    """Return the tokens that a benchmark read, wrote and scored."""
    return sum(entry["tokens"].values())


def benchmark_seconds(stages: Iterable[Stage], i: int, scores: ModelScores) -> dict[str, float | None]:
    """Return the seconds that each benchmark of iter_i took; None when unknown.

    Those of evaluate_model and judge_answers are shared out by tokens, to all benchmarks and to the judged ones;
    lm-eval's tasks have their own stage.
    """
    benchmarks = scores["benchmarks"]
    own = [name for name in benchmarks if benchmarks[name]["kind"] != "harness"]
    shared = {
        "evaluate_model": own,
        "judge_answers": [name for name in own if benchmarks[name]["kind"] in JUDGED],
        "run_harness": [name for name in benchmarks if name not in own],
    }
    seconds: dict[str, float | None] = dict.fromkeys(benchmarks)
    for stage in stages:
        names = shared.get(stage.name, []) if stage.round == i else []
        tokens = {name: benchmark_tokens(benchmarks[name]) for name in names}
        for name in names:
            share = tokens[name] / sum(tokens.values()) if any(tokens.values()) else 1.0 if len(names) == 1 else None
            seconds[name] = None if share is None else (seconds[name] or 0.0) + stage.seconds * share
    return seconds


def clock(seconds: float | None) -> str:
    """Return a duration as people read it."""
    if seconds is None:
        return "\N{EN DASH}"
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
