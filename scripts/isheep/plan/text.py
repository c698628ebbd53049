"""A plan as text: a table of stages, what fits, and how sure the time is."""

from __future__ import annotations

from isheep.plan.estimate import Line, Plan
from isheep.runner.progress import duration

DAY = 86400.0
HEADER = ("stage", "rounds", "jobs", "requests", "read", "written", "trained", "each asks for", "time")


def render(plan: Plan) -> str:
    """Return a plan for a terminal."""
    if not plan.lines:
        return f"Plan of {plan.run}: nothing is left to ask a model: done, or shared with another run."
    rows = [HEADER, *(_row(line) for line in plan.lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    table = ["  " + "  ".join(map(_pad, row, widths, HEADER)) for row in rows]
    fits = [f"  {each.line}" for each in plan.fits]
    ends = [*_warnings(plan), *_total(plan), *_budget(plan)]
    return "\n".join([f"Plan of {plan.run}: {_model(plan)}", "", *table, "", *fits, *ends])


def _warnings(plan: Plan) -> list[str]:
    if plan.machine.gpu is not None or plan.seconds is None or plan.seconds < DAY:
        return []
    return [
        "  NO GPU IS ASKED FOR: set resources.generate.gpus, assess.gpus and train.gpus to 1 or more (preset own-model "
        "asks for them)"
    ]


def _budget(plan: Plan) -> list[str]:
    if plan.forecast:
        return [f"  {line}" for line in plan.forecast.lines()]
    return ["  Budget: what the rounds will take shows when the first is done."] if plan.limits else []


def _row(line: Line) -> tuple[str, ...]:
    need, work = line.need, line.work
    asks = f"{need.gpus} GPUs, " if need.gpus > 1 else "1 GPU, " if need.gpus else ""
    counts = (line.rounds, line.jobs, work.requests, work.read, work.written, work.trained)
    took = "?" if line.seconds is None else duration(line.seconds)
    return (
        line.stage,
        *(f"{count:,}" if count else "-" for count in counts),
        f"{asks}{need.cpus} CPU{'s' * (need.cpus > 1)}, {need.mem_gib:g} GiB",
        took,
    )


def _pad(cell: str, width: int, column: str) -> str:
    return cell.ljust(width) if column in ("stage", "each asks for") else cell.rjust(width)


def _model(plan: Plan) -> str:
    if plan.shape is None:
        return f"{plan.model}, on {plan.machine.words}"
    size = f"{plan.shape.parameters / 1e9:.3g} billion weights, {plan.shape.weights_gib(plan.dtype):,.1f} GiB"
    return f"{plan.model} ({size} in {plan.dtype}), on {plan.machine.words}"


def _total(plan: Plan) -> list[str]:
    if plan.seconds is None:
        if plan.model == "fake":
            return ["  No model runs (the fake engine): neither time nor memory to tell."]
        return [
            "  The size of the model is not known here, so neither time nor memory is. One that is not fetched yet: "
            "snakemake --until fetch_model"
        ]
    gpu_hours = f", {plan.gpu_hours:,.1f} GPU-hours" if plan.gpu_hours else ""
    low, high = plan.seconds / plan.error, plan.seconds * plan.error
    learned = len(plan.learned.taken)
    source = f"as {learned} stages of finished runs in results/ took" if learned else "calculated, no finished run yet"
    return [
        f"  Time of all jobs, one after the other: {duration(plan.seconds)}{gpu_hours}; likely {duration(low)} to "
        f"{duration(high)} ({source}).",
        "  Tokens are estimates: how long texts are and how many rows survive shows when it runs.",
    ]
