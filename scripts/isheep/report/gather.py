"""What a report shows, read from a run's records and the artifacts that they name; whatever is absent is None."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from isheep.assess.base import Scale
from isheep.config.kinds import kinds
from isheep.data.rows import Row, read_rows
from isheep.documents.budget import Decision, read_decision
from isheep.documents.models import (
    MergeReport,
    ModelScores,
    TrainingReport,
    read_identity,
    read_merging,
    read_scores,
    read_training,
)
from isheep.documents.records import Settings
from isheep.documents.rounds import (
    CHECKS,
    Discrimination,
    Health,
    StageFunnel,
    read_discrimination,
    read_funnel,
    read_health,
)
from isheep.documents.stages import Stage, stage_of
from isheep.proof.cards import base_name
from isheep.proof.results import read_record, stage_key
from isheep.report.answers import Answers
from isheep.report.histograms import Scores
from isheep.report.samples import Samples
from isheep.report.status import Status
from isheep.stages.table import table

Find = Callable[[str], Path]
Document = TypeVar("Document")


@dataclass
class Round:
    """What d_i tells of itself."""

    i: int
    funnels: dict[str, StageFunnel] = field(default_factory=dict)  # by stage
    discrimination: Discrimination | None = None
    health: Health | None = None


@dataclass
class Model:
    """What iter_i tells of itself; iter_0 is the base."""

    i: int
    identity: str | None = None
    training: TrainingReport | None = None
    merging: MergeReport | None = None
    scores: ModelScores | None = None


@dataclass
class Report:
    """Everything on the page of one run."""

    run: str
    base: str
    settings: Settings
    rounds: list[Round]
    models: list[Model]
    stages: list[Stage]
    scores: Scores
    samples: Samples
    answers: Answers
    status: Status | None = None  # of a run that is not finished
    stop: Decision | None = None  # of one that its budget stopped


def gather(run: str, settings: Settings, records: Iterable[str], with_rows: bool = True, find: Find = Path) -> Report:
    """Return what the page of a run shows.

    Parameters
    ----------
    run, settings
        Its name; its resolved settings.
    records
        Paths of its records; a stage without one is left out.
    with_rows
        Read the rows too, for samples, answers and score distributions.
    find
        Where a path that records name lies now.

    Raises
    ------
    UserError
        A record was edited, or an artifact is not what its name promises.
    """
    stages = [stage_of(stage_key(path), path, read_record(find(path))) for path in records]
    count = settings["rounds"]
    rounds = [Round(i) for i in range(count)]
    models = [Model(i) for i in range(count + 1)]
    made = _Made(find)
    for stage in stages:
        folder, _, _ = stage.key.partition("/")
        kind, _, number = folder.rpartition("_")
        if kind == "d" and int(number) < count:
            made.read_data(rounds[int(number)], stage)
        elif kind == "iter" and int(number) <= count:
            made.read_model(models[int(number)], stage)
    for one in rounds:
        one.funnels = {name: one.funnels[name] for name in table().words if name in one.funnels}
    assessors = {one["name"]: _scale(one["kind"]) for one in settings["assess"]["assessors"]}
    limits = settings["report"]
    scores, samples = Scores(assessors), Samples(limits["samples"], limits["characters"], tuple(assessors))
    answers = Answers(limits["answers"], limits["characters"], _scored(settings))
    for one in rounds if with_rows else ():
        of_round = {stage.name: stage for stage in stages if stage.key == f"d_{one.i}/{stage.name}"}
        made.read_rows(one.i, of_round, scores, samples)
    for model in models if with_rows else ():
        of_model = {stage.name: stage for stage in stages if stage.key.startswith(f"iter_{model.i}/")}
        made.read_answers(model, of_model, answers)
    stop = _stop(settings, find(f"results/{run}/iter_{count}/budget.json"))
    return Report(run, base_name(settings), settings, rounds, models, stages, scores, samples, answers, stop=stop)


def _stop(settings: Settings, file: Path) -> Decision | None:
    """Return the decision by which a run ended where it did; None where it made all its rounds."""
    limits = {unit: limit for unit, limit in settings.get("budget", {}).items() if limit}
    decided = read_decision(file) if limits and file.is_file() else None
    return decided if decided and decided["budget"] == limits and not decided["goes_on"] else None


def _scale(kind: str) -> Scale | None:
    """Return the scale of an assessor's score; None for a kind that is gone since the run."""
    return getattr(kinds("isheep.assess.kinds").get(kind), "scale", None)


def _scored(settings: Settings) -> dict[str, str]:
    """Return what the first metric of each benchmark scores, in words; nothing of a kind that is gone since the run."""
    known = kinds("isheep.evaluation.kinds")
    benchmarks = ((name, entry) for name, entry in settings["evaluation"]["benchmarks"].items() if entry)
    words = {name: getattr(known.get(entry["kind"]), "scored", "") for name, entry in benchmarks}
    return {name: text for name, text in words.items() if text}


class _Made:
    """What stages made: reads each artifact where it lies; one that is gone is left out."""

    def __init__(self, find: Find) -> None:
        self.find = find

    def _output(self, stage: Stage, name: str) -> Path | None:
        """Return the file of this name among a stage's outputs; None when it made none, or it is gone."""
        places = (self.find(path) for path in stage.outputs if path.endswith(f"/{name}"))
        return next((place for place in places if place.is_file()), None)

    def _document(self, stage: Stage, name: str, read: Callable[[Path], Document]) -> Document | None:
        place = self._output(stage, name)
        return read(place) if place else None

    def read_data(self, target: Round, stage: Stage) -> None:
        if stage.name in table().words:
            funnel = self._document(stage, f"{table().words[stage.name]}.funnel.json", read_funnel)
            target.funnels |= {stage.name: funnel} if funnel else {}
        told = self._document(stage, CHECKS[stage.name], read_discrimination) if stage.name in CHECKS else None
        if told is not None:
            target.discrimination = {**(target.discrimination or {}), **told}
        target.health = target.health or self._document(stage, "health.json", read_health)

    def read_model(self, target: Model, stage: Stage) -> None:
        identity = self._document(stage, "identity.json", read_identity)
        target.identity = target.identity or (identity["sha256"] if identity else None)
        target.training = target.training or self._document(stage, "training.json", read_training)
        target.merging = target.merging or self._document(stage, "merging.json", read_merging)
        target.scores = target.scores or self._document(stage, "evaluation/scores.json", read_scores)

    def read_rows(self, i: int, stages: dict[str, Stage], scores: Scores, samples: Samples) -> None:
        """Read every row of a round once, where its way ended: rejected by a stage, or kept by the last one."""
        ran = [name for name in table().words if name in stages]
        for number, name in enumerate(ran):
            ends = [(f"{table().words[name]}.rejected.jsonl", False)]
            if name == ran[-1]:
                ends.append((f"{table().words[name]}.jsonl", True))
            for file, kept in ends:
                place = self._output(stages[name], file)
                for row in read_rows(place) if place else ():
                    scores.add(i, row, kept)
                    samples.offer(i, name, row, kept, ran[: number + 1])

    def read_answers(self, model: Model, stages: dict[str, Stage], answers: Answers) -> None:
        """Read what a model answered in its benchmarks, what the judge said of it, and what each item scored."""

        def rows(stage: str, file: str) -> Iterable[Row]:
            place = self._output(stages[stage], f"evaluation/{file}") if stage in stages else None
            return read_rows(place) if place else ()

        answers.add(
            model.i,
            model.scores["benchmarks"] if model.scores else {},
            rows("evaluate_model", "answers.jsonl"),
            rows("judge_answers", "judgements.jsonl"),
            rows("score_model", "measures.jsonl"),
        )
