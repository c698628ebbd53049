"""What a run was: when, how long, where, of what, for how much; short enough to stand under its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from isheep.data.numbers import shown
from isheep.documents.records import Settings
from isheep.documents.stages import Stage
from isheep.proof.manifest import commit
from isheep.report.costs import clock, total
from isheep.runner.portable import ROOT

Fact = tuple[str, str]


def facts(base: str, settings: Settings, trained: Sequence[int], stages: Sequence[Stage]) -> list[Fact]:
    """Return names and values for the head of a page.

    Parameters
    ----------
    base, settings
        The base model's name; the run's settings.
    trained
        Rows that each model was trained on.
    stages
        What has run.
    """
    engine = settings["engine"]
    told = [
        ("base model", base),
        ("engine", f"{engine['name']}, {engine['dtype']}"),
        ("rounds", str(settings["rounds"])),
        ("seed", str(settings["seed"])),
        ("rows trained on", ", ".join(map(shown, trained)) or "none"),
        *_times(stages),
        *_spent(stages),
        ("machine", "; ".join(sorted({stage.hardware for stage in stages}))),
        ("commit", (commit(ROOT) or "")[:12]),
    ]
    return [(name, value) for name, value in told if value]


def _times(stages: Sequence[Stage]) -> Iterator[Fact]:
    """Yield the day, and how long it was from the first start to the last end, pauses included."""
    begun = [datetime.fromisoformat(stage.started) for stage in stages]
    if not begun:
        return
    yield "started (UTC)", f"{min(begun):%Y-%m-%d %H:%M}"
    ends = (start + timedelta(seconds=stage.own_seconds) for start, stage in zip(begun, stages, strict=True))
    yield "wall time, with pauses", clock((max(ends) - min(begun)).total_seconds())


def _spent(stages: Sequence[Stage]) -> Iterator[Fact]:
    if not stages:
        return
    cost = total(stages)
    yield "time in jobs", clock(cost.seconds)
    yield "GPU-hours", f"{cost.gpu_hours:.2f}"
    if known := [stage.peak_memory_mib for stage in stages if stage.peak_memory_mib]:
        yield "peak main memory of a job", f"{max(known) / 1024:.1f} GiB"
    read, written = (sum(stage.tokens.get(kind, 0) for stage in stages) for kind in ("prompt", "completion"))
    yield "tokens read, written", f"{read:,}, {written:,}"
    asking = sum(stage.seconds for stage in stages if stage.tokens.get("completion"))
    if written and asking:
        yield "tokens written a second", shown(written / asking)
