"""Benchmarks by kind, made from the settings; a module is imported only when its benchmark is asked for."""

from __future__ import annotations

from functools import partial
from typing import Any

from isheep.config.evaluation import JUDGED, Evaluation, OnFile
from isheep.errors import UserError
from isheep.evaluation.base import Benchmark

KINDS = ("heldout", "ifeval", "humaneval", "mbpp", "triviaqa", "squad2", "mt_bench", "pairwise", "calibration")
SANDBOXED = ("humaneval", "mbpp")
NOT_FIELDS = {*OnFile.model_fields, "kind", "weak_sandbox"}


def make(kind: str, **settings: Any) -> Benchmark:
    """Return a benchmark with its settings (the fields of its class).

    Raises
    ------
    UserError
        No benchmark of that kind, or a setting that it does not have.
    """
    benchmark = _class(kind)
    unknown = sorted(set(settings) - set(benchmark.__dataclass_fields__))
    if unknown:
        known = ", ".join(benchmark.__dataclass_fields__)
        raise UserError(f"evaluation: {kind} has no setting {', '.join(unknown)} (known: {known})")
    return benchmark(**settings)


def _class(kind: str) -> Any:
    # Written out, so that the digest of the code behind a stage follows these imports.
    if kind == "heldout":
        from isheep.evaluation.heldout import Heldout

        return Heldout
    if kind == "ifeval":
        from isheep.evaluation.ifeval import Ifeval

        return Ifeval
    if kind == "humaneval":
        from isheep.evaluation.code import HumanEval

        return HumanEval
    if kind == "mbpp":
        from isheep.evaluation.code import Mbpp

        return Mbpp
    if kind == "triviaqa":
        from isheep.evaluation.qa import TriviaQa

        return TriviaQa
    if kind == "squad2":
        from isheep.evaluation.qa import Squad2

        return Squad2
    if kind == "mt_bench":
        from isheep.evaluation.mt_bench import MtBench

        return MtBench
    if kind == "pairwise":
        from isheep.evaluation.pairwise import Pairwise

        return Pairwise
    if kind == "calibration":
        from isheep.evaluation.calibration import Calibration

        return Calibration
    raise UserError(f"evaluation: no benchmark {kind!r} (known: {', '.join(KINDS)})")


def build(name: str, evaluation: Evaluation) -> Benchmark:
    """Return the benchmark that section `evaluation` describes under a name."""
    entry = evaluation.on[name]
    settings = {"name": name} | {key: getattr(entry, key) for key in type(entry).model_fields if key not in NOT_FIELDS}
    if entry.kind in JUDGED and evaluation.judge:
        settings["method"] = evaluation.judge.method
    if entry.kind in SANDBOXED:
        from isheep.evaluation import sandbox

        settings["run"] = partial(sandbox.run, allow_weak=entry.weak_sandbox)
    return make(entry.kind, **settings)
