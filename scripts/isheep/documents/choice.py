"""Which model of a run is chosen: the best by one metric of one benchmark."""

from __future__ import annotations

from collections.abc import Iterable

from typing_extensions import TypedDict  # typing's own cannot be validated before Python 3.12

from isheep.documents.models import MetricScore, ModelScores
from isheep.errors import UserError


class Choice(TypedDict):
    """The chosen model, by what it was chosen, and of how many; `beats_base` is None where the base has no score."""

    round: int
    benchmark: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    of: int
    beats_base: bool | None


def choose(scores: Iterable[ModelScores], benchmark: str, metric: str) -> Choice | None:
    """Return the best of the trained models; of equal ones the earliest; None where none was measured yet.

    Parameters
    ----------
    scores
        Of the models of a run, iter_0 among them.
    benchmark, metric
        By what (`publish.best`).

    Raises
    ------
    UserError
        The benchmark has no such metric, one without a better side, or numbers that do not count.
    """
    found: dict[int, MetricScore] = {}
    for model in scores:
        entry = model["benchmarks"].get(benchmark)
        if entry is None:
            continue
        if metric not in entry["metrics"]:
            known = ", ".join(sorted(entry["metrics"])) or "none"
            raise UserError(f"publish.best.metric: {benchmark} has no {metric!r} (known: {known})")
        if not entry["counts"]:
            raise UserError(f"publish.best.benchmark: the numbers of {benchmark} do not count (its judge failed)")
        if entry["metrics"][metric]["value"] is not None:
            found[model["round"]] = entry["metrics"][metric]
    trained = [i for i in sorted(found) if i]
    if not trained:
        return None
    if not (better := found[trained[0]]["better"]):
        raise UserError(f"publish.best.metric: neither side of {metric} of {benchmark} is the better one; name another")

    def worth(i: int) -> float:
        value = found[i]["value"]
        assert value is not None, "models without a value were left out"
        return value if better == "higher" else -value

    best = max(trained, key=lambda i: (worth(i), -i))
    chosen = found[best]
    return {
        "round": best,
        "benchmark": benchmark,
        "metric": metric,
        "value": chosen["value"] or 0.0,
        "low": chosen["low"],
        "high": chosen["high"],
        "n": chosen["n"],
        "of": len(trained),
        "beats_base": worth(best) > worth(0) if 0 in found else None,
    }
