"""The plan of a run: its stages with what each still takes, and whether that fits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from isheep.config import load
from isheep.config.budget import UNITS
from isheep.config.resources import Need
from isheep.config.run import Run
from isheep.data.files import read_json
from isheep.errors import UserError
from isheep.plan import fit, rates
from isheep.plan.budget import Forecast, Hours
from isheep.plan.fit import Fit
from isheep.plan.rates import Learned, Machine, Taken
from isheep.plan.shape import GIB, Shape, shape_of
from isheep.plan.work import STAGES, Work, of_stage
from isheep.runner.portable import ROOT
from isheep.stages.table import table
from isheep.workflow import budget
from isheep.workflow.graph import Graph

ENGINES = {"generate": ("generate_prompts", "generate_outputs"), "assess": ("assess_outputs", "probe_data")}


@dataclass(frozen=True)
class Line:
    """A stage of a run over all rounds to come; `seconds` are those of its jobs together, `at` those of each round."""

    stage: str
    rounds: int
    jobs: int
    work: Work
    need: Need
    seconds: float | None
    at: Mapping[int, float]


@dataclass(frozen=True)
class Plan:
    """What a run will still take.

    Parameters
    ----------
    run
        Its name.
    model
        The base model's folder or id.
    shape
        Its numbers; None where they are not known, and with them neither time nor memory.
    machine
        What its jobs run on.
    lines
        Its stages that ask a model, in their order.
    fits
        Memory and disk.
    learned
        Finished runs that the time was corrected by.
    limits, spent
        The run's budget, by its units; what the run took so far.
    """

    run: str
    model: str
    shape: Shape | None
    machine: Machine
    dtype: str
    lines: list[Line]
    fits: list[Fit]
    learned: Learned
    limits: Hours
    spent: Hours

    @property
    def seconds(self) -> float | None:
        """Seconds of all jobs together; None where they are not known."""
        each = [line.seconds for line in self.lines]
        return None if self.shape is None else sum(filter(None, each))

    @property
    def gpu_hours(self) -> float:
        """Hours times GPUs of all jobs."""
        return sum((line.seconds or 0) * line.need.gpus for line in self.lines) / 3600

    @property
    def error(self) -> float:
        """The factor within which time likely is."""
        kind = "cpu" if self.machine.gpu is None else "gpu"
        return self.learned.error(rates.devices()["error"][kind])

    @property
    def forecast(self) -> Forecast | None:
        """The plan against the budget; None where there is none, or the time is not known."""
        if not self.limits or self.seconds is None:
            return None
        rounds: dict[int, dict[str, float]] = {}
        for line in self.lines:
            for i, seconds in line.at.items():
                hours = rounds.setdefault(budget.block(line.stage, i), dict.fromkeys(UNITS, 0.0))
                hours["hours"] += seconds / 3600
                hours["gpu_hours"] += seconds * line.need.gpus / 3600
        return Forecast(self.limits, self.spent, rounds, self.error)

    def refuse_if_it_cannot_fit(self) -> None:
        """Raise UserError with the numbers where what is asked for is not enough, or the budget for no round."""
        if self.forecast:
            self.forecast.refuse_if_useless(self.run)
        wrong = [each.line for each in self.fits if each.refused]
        if wrong:
            raise UserError("\n  ".join([f"{self.run}: cannot fit what it asks for", *wrong]))


def plan(
    name: str,
    run: Run,
    gpu: str | None = None,
    learned: Learned | None = None,
    finished: Callable[[str, int], bool] = lambda stage, i: False,
    shards: Callable[[str], int] = lambda stage: 1,
    memory_gib: float | None = None,
    spent: Hours | None = None,
) -> Plan:
    """Return the plan of a run.

    Parameters
    ----------
    name, run
        Its name; its resolved settings.
    gpu
        Kind of the GPUs, where the user names it.
    learned
        What finished runs took.
    finished
        Whether a stage of a round is done.
    shards
        Jobs that share a stage's requests.
    memory_gib
        What jobs have where nobody holds them to what they ask for: all of this machine's.
    spent
        What the run took so far, by the units of its budget.
    """
    learned = learned or Learned()
    shape = _shape(run)
    needs = [run.resources.at(key, 1) for key in ("generate", "assess", "train", "evaluate", "judge")]
    on = rates.machine(gpu, any(need.gpus for need in needs))
    todo = [(stage.name, i) for stage, i in table().of_run(run) if not finished(stage.name, i)]
    lines = list(_lines(name, todo, run, shape, on, learned, shards))
    fits = list(_fits(todo, lines, run, shape, on, memory_gib)) if shape else []
    model = str(run.model.hub or run.model.path or (run.model.gguf.folder if run.model.gguf else "fake"))
    took = spent or dict.fromkeys(UNITS, 0.0)
    return Plan(name, model, shape, on, run.engine.dtype, lines, fits, learned, run.budget.limits, took)


def _shape(run: Run) -> Shape | None:
    return None if run.engine.name in ("fake", "endpoint") else shape_of(run.model)


def _as_asked(stage: str, run: Run, shape: Shape | None) -> tuple[Run, Shape | None]:
    """Return a run with the model and the engine that a stage asks, and the model's shape: its own or the judge's."""
    declared, judge = table()[stage], run.evaluation.own_judge
    model = declared.weights(run) if declared.weights and declared.runs(run, 0) is None else None
    if model is None or judge is None:
        return run, shape
    run = run.model_copy(update={"model": model, "engine": judge.engine or run.engine})
    return run, _shape(run)


def _lines(
    name: str,
    todo: list[tuple[str, int]],
    run: Run,
    shape: Shape | None,
    on: Machine,
    learned: Learned,
    shards: Callable[[str], int],
) -> Iterator[Line]:
    for stage in dict.fromkeys(stage for stage, _ in todo if stage in STAGES):
        declared = table()[stage]
        need = run.resources.at(declared.machine or "generate", 1)
        rounds = [i for each, i in todo if each == stage]
        works = [of_stage(stage, run, i) for i in rounds]
        if not any(work.requests or work.trained for work in works):
            continue
        count = shards(stage)
        took, at = None, {}
        asks, asked = _as_asked(stage, run, shape)
        if asked is not None:
            start = rates.devices()["start_s"]["gpu" if need.gpus else "cpu"]
            each = [rates.seconds(stage, work, asked, asks, need, on) + (count - 1) * start for work in works]
            at = {i: seconds * learned.correction(stage, name) for i, seconds in zip(rounds, each, strict=True)}
            took = sum(at.values())
        yield Line(stage, len(rounds), len(rounds) * count, sum(works, Work()), need, took, at)


def of_graph(graph: Graph, gpu: str | None, local: bool) -> list[Plan]:
    """Return the plans of a graph's runs: what each has still to make itself.

    Parameters
    ----------
    graph
        The runs.
    gpu
        Kind of the GPUs, where the user names it.
    local
        Whether jobs run on this machine.
    """
    taught = {gpus: learn(Path("results"), gpus) for gpus in (False, True)}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB if local else None
    plans = []
    for name, run in graph.config.runs.items():

        def is_made(stage: str, i: int, name: str = name) -> bool:
            others = graph.owner(name, stage, i) != name
            return others or graph.remains.finished(name, stage, i) is not None

        def shards(stage: str) -> int:
            return graph.config.shards.of(stage) if table()[stage].shards else 1

        asks_gpus = any(run.resources.at(key, 1).gpus for key in ("generate", "assess", "train"))
        spent = budget.hours(budget.recorded(graph, name, graph.stages(name)))
        plans.append(plan(name, run, gpu, taught[asks_gpus], is_made, shards, memory, spent))
    return plans


def _fits(
    todo: list[tuple[str, int]], lines: list[Line], run: Run, shape: Shape, on: Machine, memory_gib: float | None
) -> Iterator[Fit]:
    def need(key: str) -> Need:
        asked = run.resources.at(key, 1)
        return asked if memory_gib is None else asked.model_copy(update={"mem_gib": memory_gib})

    def told(each: Fit) -> Fit:
        return each if on.known else replace(each, least=0.0)

    stages = {line.stage for line in lines}
    for key, names in ENGINES.items():
        asking = [(name, *_as_asked(name, run, shape)) for name in names]
        own = [name for name, asks, _ in asking if asks is run]
        if stages & set(own):
            yield told(fit.engine(", ".join(own), key, shape, run, need(key), on.gpu_gib))
        for name, asks, judge in asking:
            if name in stages and asks is not run and judge is not None:
                yield told(fit.engine(f"{name}, by the judge", key, judge, asks, need(key), on.gpu_gib))
    if "train_adapter" in stages and run.train.trainer == "trl":
        yield told(fit.training(shape, run, need("train"), on.gpu_gib))
    if "merge_model" in stages:
        yield fit.merging(shape, run, need("merge"))
    models = sum(name == "merge_model" for name, _ in todo)
    tokens = sum(line.work.read + line.work.written for line in lines)
    yield fit.disk(shape, run, models, tokens, Path("results"))


def learn(folder: Path, gpu: bool) -> Learned:
    """Return what stages of runs under a folder took against their plans, on a CPU or on GPUs.

    A run tells its settings in config.yaml, its stages theirs in their records; what cannot be read teaches nothing.
    """
    taken: list[Taken] = []
    for file in sorted(folder.glob("*/config.yaml")):
        run = _settings(file)
        shape = None if run is None else _shape(run)
        if run is not None and shape is not None:
            taken += _taken(file.parent, run, shape, gpu)
    return Learned(taken)


def _settings(file: Path) -> Run | None:
    import yaml

    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
        return load({"runs": {"a": settings}}, ROOT).runs["a"]
    except (OSError, UserError, yaml.YAMLError):
        return None


def _taken(folder: Path, run: Run, shape: Shape, gpu: bool) -> Iterator[Taken]:
    for file in sorted(folder.rglob("records/*.json")):
        try:
            record: dict[str, Any] = read_json(file)
            made, observed = record["made"], record["observed"]
            took, hardware = observed["seconds"], observed["hardware"]
        except (OSError, KeyError, TypeError, UserError):
            continue
        stage, tokens = made["stage"], made["tokens"]
        need = run.resources.at(table()[stage].machine or "generate", 1) if stage in STAGES else None
        # A stage that found its answers in the journal took no time for them; merging counts no tokens.
        from_journal = bool(tokens) and not any(tokens.values())
        if need is None or from_journal or observed.get("shards") or bool(hardware["gpus"]) != gpu:
            continue
        need = need.model_copy(update={"cpus": hardware.get("threads") or need.cpus, "gpus": hardware["gpus"]})
        on = rates.machine(hardware.get("gpu"), gpu)
        work = of_stage(stage, run, made["round"] or 0)
        asks, asked = _as_asked(stage, run, shape)
        if asked and took and (planned := rates.seconds(stage, work, asked, asks, need, on)):
            yield Taken(folder.name, stage, planned, took)
