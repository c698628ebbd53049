"""Benchmarks by name; a module is imported only when its benchmark is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from isheep.errors import UserError
from isheep.evaluation.base import Benchmark

BENCHMARKS = {
    "ifeval": ("ifeval", "Ifeval", {}),
    "constraints": ("ifeval", "Ifeval", {"name": "constraints"}),
    "heldout": ("heldout", "Heldout", {}),
    "humaneval": ("code", "HumanEval", {}),
    "humaneval_plus": ("code", "HumanEval", {"name": "humaneval_plus"}),
    "mbpp": ("code", "Mbpp", {}),
    "triviaqa": ("qa", "TriviaQa", {}),
    "squad2": ("qa", "Squad2", {}),
    "mt_bench": ("mt_bench", "MtBench", {}),
    "pairwise": ("pairwise", "Pairwise", {}),
    "calibration": ("calibration", "Calibration", {}),
}
JUDGED = ("mt_bench", "pairwise", "calibration")
SANDBOXED = ("humaneval", "humaneval_plus", "mbpp")


def make(kind: str, **settings: Any) -> Benchmark:
    """Return a benchmark with its settings (the fields of its class).

    Raises
    ------
    UserError
        No benchmark of that name, or a setting that it does not have.
    """
    if kind not in BENCHMARKS:
        raise UserError(f"evaluation: no benchmark {kind!r} (known: {', '.join(BENCHMARKS)})")
    module, name, preset = BENCHMARKS[kind]
    benchmark = getattr(import_module(f"isheep.evaluation.{module}"), name)
    unknown = sorted(set(settings) - set(benchmark.__dataclass_fields__))
    if unknown:
        known = ", ".join(benchmark.__dataclass_fields__)
        raise UserError(f"evaluation: {kind} has no setting {', '.join(unknown)} (known: {known})")
    return benchmark(**{**preset, **settings})
