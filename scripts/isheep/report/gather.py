"""What a report shows, read from a run's records and the artifacts that they name; whatever is absent is None."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from isheep.assess.base import Scale
from isheep.config.kinds import kinds
from isheep.data.files import read_json
from isheep.data.rows import Row, read_rows
from isheep.proof.cards import STAGES, base_name
from isheep.proof.results import read_sealed, stage_key
from isheep.report.answers import Answers
from isheep.report.histograms import Scores
from isheep.report.samples import Samples


@dataclass(frozen=True)
class Stage:
    """One stage of one round, as its record tells."""

    key: str  # d_0/generate_prompts
    name: str
    round: int
    owner: str  # the run that made it
    tokens: dict[str, int]
    seconds: float
    gpu_seconds: float
    started: str
    hardware: str
    inputs: tuple[str, ...]
    outputs: dict[str, str]  # path: sha256

    @property
    def gpu_hours(self) -> float:
        """Seconds times GPUs, in hours."""
        return self.gpu_seconds / 3600


@dataclass
class Round:
    """What d_i tells of itself."""

    i: int
    funnels: dict[str, Row] = field(default_factory=dict)  # by stage
    discrimination: dict[str, Row] | None = None
    health: Row | None = None


@dataclass
class Model:
    """What iter_i tells of itself; iter_0 is the base."""

    i: int
    identity: str | None = None
    training: Row | None = None
    merging: Row | None = None
    scores: Row | None = None


@dataclass
class Report:
    """Everything on the page of one run."""

    run: str
    base: str
    settings: dict[str, Any]
    rounds: list[Round]
    models: list[Model]
    stages: list[Stage]
    scores: Scores
    samples: Samples
    answers: Answers


def gather(run: str, settings: dict[str, Any], records: Iterable[str], with_rows: bool = True) -> Report:
    """Return what the page of a run shows.

    Parameters
    ----------
    run, settings
        Its name; its resolved settings.
    records
        Paths of its records; a stage without one is left out.
    with_rows
        Read the rows too, for samples, answers and score distributions.

    Raises
    ------
    UserError
        A record was edited, or an artifact is not what its name promises.
    """
    stages = [_stage(record) for record in records]
    count = settings["rounds"]
    rounds = [Round(i) for i in range(count)]
    models = [Model(i) for i in range(count + 1)]
    assessors = {one["name"]: _scale(one["kind"]) for one in settings["assess"]["assessors"]}
    limits = settings["report"]
    scores, samples = Scores(assessors), Samples(limits["samples"], limits["characters"], tuple(assessors))
    answers = Answers(limits["answers"], limits["characters"])
    for stage in stages:
        folder, _, _ = stage.key.partition("/")
        kind, _, number = folder.rpartition("_")
        if kind == "d" and int(number) < count:
            _read_data(rounds[int(number)], stage)
        elif kind == "iter" and int(number) <= count:
            _read_model(models[int(number)], stage)
    for i in range(count):
        of_round = {stage.name: stage for stage in stages if stage.key == f"d_{i}/{stage.name}"}
        rounds[i].funnels = {name: rounds[i].funnels[name] for name in STAGES if name in rounds[i].funnels}
        if with_rows:
            _read_rows(i, of_round, scores, samples)
    for model in models if with_rows else ():
        of_model = {stage.name: stage for stage in stages if stage.key.startswith(f"iter_{model.i}/")}
        _read_answers(model, of_model, answers)
    return Report(run, base_name(settings), settings, rounds, models, stages, scores, samples, answers)


def _scale(kind: str) -> Scale | None:
    """Return the scale of an assessor's score; None for a kind that is gone since the run."""
    return getattr(kinds("isheep.assess.kinds").get(kind), "scale", None)


def _stage(path: str) -> Stage:
    record = read_sealed(Path(path))
    made, observed = record["made"], record["observed"]
    hardware = observed["hardware"]
    parts = observed.get("shards", [])
    return Stage(
        key=stage_key(path),
        name=made["stage"],
        round=made["round"] or 0,
        owner=PurePosixPath(path).parts[1],
        tokens=made["tokens"],
        seconds=observed["seconds"] + sum(part["seconds"] for part in parts),
        gpu_seconds=sum(part["seconds"] * part["gpus"] for part in [{**observed, **hardware}, *parts]),
        started=observed["started"],
        hardware=f"{hardware['cpu']} ({hardware['machine']})" + (f", {hardware['gpu']}" if "gpu" in hardware else ""),
        inputs=tuple(made["inputs"]),
        outputs=made["outputs"],
    )


def _read_data(target: Round, stage: Stage) -> None:
    if stage.name in STAGES and (funnel := _beside(stage, f"{STAGES[stage.name]}.funnel.json")):
        target.funnels[stage.name] = funnel
    target.discrimination = target.discrimination or _beside(stage, "discrimination.json")
    target.health = target.health or _beside(stage, "health.json")


def _read_model(target: Model, stage: Stage) -> None:
    identity = _beside(stage, "identity.json")
    target.identity = target.identity or (identity and identity["sha256"])
    target.training = target.training or _beside(stage, "training.json")
    target.merging = target.merging or _beside(stage, "merging.json")
    target.scores = target.scores or _beside(stage, "evaluation/scores.json")


def _beside(stage: Stage, name: str) -> Any:
    """Return the JSON file of this name among a stage's outputs; None when it made none, or it is gone."""
    path = _output(stage, name)
    return read_json(path) if path else None


def _output(stage: Stage, name: str) -> Path | None:
    found = (Path(path) for path in stage.outputs if path.endswith(f"/{name}"))
    return next((path for path in found if path.is_file()), None)


def _read_rows(i: int, stages: dict[str, Stage], scores: Scores, samples: Samples) -> None:
    """Read every row of a round once, where its way ended: rejected by a stage, or kept by the last one."""
    ran = [name for name in STAGES if name in stages]
    for name in ran:
        stage = stages[name]
        ends: list[tuple[str, bool]] = [(f"{STAGES[name]}.rejected.jsonl", False)]
        if name == ran[-1]:
            ends.append((f"{STAGES[name]}.jsonl", True))
        for file, kept in ends:
            path = _output(stage, file)
            for row in read_rows(path) if path else ():
                scores.add(i, row, kept)
                samples.offer(i, name, row, kept)


def _read_answers(model: Model, stages: dict[str, Stage], answers: Answers) -> None:
    """Read what a model answered in its benchmarks, what the judge said of it, and what each item scored."""

    def rows(stage: str, file: str) -> Iterable[Row]:
        path = _output(stages[stage], f"evaluation/{file}") if stage in stages else None
        return read_rows(path) if path else ()

    answers.add(
        model.i,
        (model.scores or {}).get("benchmarks", {}),
        rows("evaluate_model", "answers.jsonl"),
        rows("judge_answers", "judgements.jsonl"),
        rows("score_model", "measures.jsonl"),
    )
