"""What iter_i tells of itself: identity, reports of its training and merging, scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # typing's own cannot be validated before Python 3.12

from isheep.documents.reading import Better, read


class Identity(TypedDict):
    """`identity.json`: sha256 over the names and sha256 of the files that decide what a model says; none of a fake."""

    sha256: str
    files: dict[str, str]


class StepLoss(TypedDict):
    """Mean training loss of the rows since the last such entry, nats a token of the answers, or a pair."""

    step: int
    loss: float


class HeldoutLoss(TypedDict):
    """Loss on the held-out rows before and after training, nats as in `StepLoss`, over so many tokens of answers."""

    before: float
    after: float
    tokens: int


class PairFigures(TypedDict):
    """Of held-out pairs: mean margin, share with a positive one, mean log-likelihoods of an answer in nats."""

    margin: float
    accuracy: float
    chosen: float
    rejected: float


class HeldoutPairs(TypedDict):
    """What held-out pairs say before and after training; margins are those of the loss, in nats."""

    pairs: int
    before: PairFigures
    after: PairFigures


class MeasuredStep(TypedDict):
    """A metric of the held-out rows after so many steps."""

    step: int
    value: float


class KeptStep(TypedDict):
    """The step whose adapter was kept: the best of those measured, by a metric of the held-out rows."""

    metric: str
    step: int
    measured: list[MeasuredStep]


class TrainingReport(TypedDict):
    """`training.json`."""

    rows: int
    heldout_rows: int
    cut_rows: int
    unanswered_rows: int
    steps: int
    tokens: int
    answer_tokens_per_epoch: int
    loss: list[StepLoss]
    heldout: HeldoutLoss | None
    preferences: NotRequired[HeldoutPairs | None]  # where pairs train
    early_stop: NotRequired[KeptStep]  # where the best step is kept
    end_of_turn: dict[str, Any]


class MergeReport(TypedDict):
    """`merging.json`: how the merged model, read back, agrees with base plus adapter: in its tensors, on a few probes.

    Where answers were not compared there are no probes, and no difference of logits.
    """

    dtype: str
    parameters: int
    tied_embeddings: bool
    tensors: NotRequired[int]  # since merging goes tensor by tensor
    tensors_adapted: NotRequired[int]
    tensors_difference: NotRequired[float]  # of adapted ones, as a share of the size of their products
    compared: NotRequired[Literal["tensors", "answers"]]
    probes: int
    probe_tokens: int
    logits_difference: float | None
    tolerance: float
    greedy_tokens_same: int
    greedy_ties: int
    stopped_by_itself: int


class TimedTraining(TrainingReport):
    """What a training returns: how long it took, and from which checkpoint, goes into the log."""

    timing: dict[str, Any]


class TimedMerge(MergeReport):
    """What a merge returns: how long it took goes into the log."""

    timing: dict[str, Any]


class PlainScore(TypedDict):
    """A value with its 95 % interval over n items, where unit and better side follow from its metric."""

    value: float | None
    n: int
    low: float | None
    high: float | None


class Difference(TypedDict):
    """A metric minus another model's over the n items that both have, with its paired 95 % interval."""

    value: float
    n: int
    low: float
    high: float


class MetricScore(PlainScore):
    """A metric of one model; a difference is None where no item is in both, and absent for the base itself."""

    unit: str
    better: Better
    minus_base: NotRequired[Difference | None]
    minus_previous: NotRequired[Difference | None]


Floors = dict[str, dict[str, PlainScore]]
"""By an answer without skill ("lol"), then by metric: what it gets."""


class BenchmarkScores(TypedDict):
    """One benchmark of one model; `counts` is False where its judge failed the calibration (`objections`)."""

    kind: str
    items: int
    error: str | None
    note: str
    counts: bool
    objections: list[str]
    headline: list[str]
    metrics: dict[str, MetricScore]
    floors: Floors
    groups: dict[str, dict[str, PlainScore]]
    tokens: dict[str, int]


class ModelScores(TypedDict):
    """`scores.json` of iter_{round}."""

    round: int
    benchmarks: dict[str, BenchmarkScores]


def read_identity(path: str | Path) -> Identity:
    """Return the identity of a model; raise UserError naming the file when it holds something else."""
    return read(path, Identity, "the identity of a model")


def read_training(path: str | Path) -> TrainingReport:
    """Return the report of a training; raise UserError naming the file when it holds something else."""
    return read(path, TrainingReport, "the report of a training")


def read_merging(path: str | Path) -> MergeReport:
    """Return the report of a merge; raise UserError naming the file when it holds something else."""
    return read(path, MergeReport, "the report of a merge")


def read_scores(path: str | Path) -> ModelScores:
    """Return the scores of a model; raise UserError naming the file when it holds something else."""
    return read(path, ModelScores, "the scores of a model")
