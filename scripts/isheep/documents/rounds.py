"""What d_i tells of itself: funnels, discrimination of the assessors, health."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NotRequired

from typing_extensions import TypedDict  # typing's own cannot be validated before Python 3.12

from isheep.documents.reading import Better, read


class StageFunnel(TypedDict):
    """`*.funnel.json`: rows that a stage got, kept and rejected by rule; `rows_in` is the sum of the other two."""

    stage: str
    round: int
    rows_in: int
    rows_out: int
    rejected: dict[str, int]
    completion_tokens: NotRequired[int]  # of generate_prompts and generate_outputs
    requests: NotRequired[int]  # of generate_prompts


Verdict = Literal["separates", "weak", "chance", "inverted", "unmeasured"]


class AssessorCheck(TypedDict):
    """How well an assessor tells an answer to its prompt from an answer to another: AUC with its 95 % interval."""

    n: int
    auc: float | None
    low: float | None
    high: float | None
    verdict: Verdict


Discrimination = dict[str, AssessorCheck]
"""`discrimination.json`: by assessor; empty when there were no pairs."""


CHECKS = {"assess_outputs": "discrimination.json", "pair_answers": "pairs.discrimination.json"}
"""By the stage that asks a judge: what its judges could tell."""


class Quantity(TypedDict):
    """A measured number with its context; `value` is None when it cannot be told."""

    value: float | None
    n: int
    unit: str
    better: Better


class OrderPart(TypedDict):
    """A part of the order in which rows train: means over its rows, lengths in words."""

    rows: int
    value: float
    prompt_words: float
    output_words: float


class OrderProfile(TypedDict):
    """`ordered.profile.json`: value and length along the order, Spearman's rho of the two (None: one is constant)."""

    by: str
    descending: bool
    parts: list[OrderPart]
    correlation_with_length: float | None


class Quantiles(TypedDict):
    """Nearest-rank quantiles of a length, in words or tokens."""

    p5: int | None
    p25: int | None
    p50: int | None
    p75: int | None
    p95: int | None
    n: int
    unit: str


class FieldLengths(TypedDict):
    """Lengths of one field of the rows; only outputs can be cut at the token limit."""

    words: Quantiles
    tokens: Quantiles
    share_empty: Quantity
    share_at_limit: NotRequired[Quantity]


Lengths = dict[str, FieldLengths]
"""By field: instruction, output."""


class Duplicates(TypedDict):
    """Shares of repeated texts by field and by where they were before."""

    exact: dict[str, dict[str, Quantity]]
    near: dict[str, dict[str, Quantity]]


class Histogram(TypedDict):
    """Counts of the bins between neighbouring edges: one edge more than counts."""

    edges: list[float]
    counts: list[int]


class ColumnScores(TypedDict):
    """What one assessor's scores look like."""

    histogram: Histogram
    entropy: Quantity
    share_at_maximum: Quantity
    correlation_with_length: Quantity


class SharedGrams(TypedDict):
    """Rows that share a sequence of words with an evaluation file."""

    rows: int
    share: Quantity


class Unread(TypedDict):
    """An evaluation file that could not be read, in one line."""

    error: str


Overlap = dict[str, dict[str, SharedGrams] | Unread]
"""By evaluation file, then by words in a sequence ("13")."""


class Perplexity(Quantity):
    """Perplexity of the outputs under the base model."""

    bits_per_byte: Quantity
    share_unread: Quantity


class Alarm(TypedDict):
    """An alarm that rang."""

    name: str
    value: float
    threshold: float
    level: Literal["warn", "stop"]
    message: str


class Checked(TypedDict):
    """Which alarms rang, of how many whose measure was there."""

    alarms: list[Alarm]
    checked: int


class Health(Checked):
    """`health.json`: what a round's data is like; a measure that a run leaves out is not there."""

    round: int
    sample: int
    lengths: NotRequired[Lengths]
    generated: NotRequired[Lengths]
    diversity: NotRequired[dict[str, dict[str, Quantity]]]
    duplicates: NotRequired[Duplicates]
    scores: NotRequired[dict[str, ColumnScores]]
    overlap: NotRequired[Overlap]
    perplexity: NotRequired[Perplexity]
    change: dict[str, Quantity]


def read_funnel(path: str | Path) -> StageFunnel:
    """Return the funnel of a stage; raise UserError naming the file when it holds no funnel."""
    return read(path, StageFunnel, "the funnel of a stage")


def read_discrimination(path: str | Path) -> Discrimination:
    """Return what assessors could tell; raise UserError naming the file when it holds something else."""
    return read(path, Discrimination, "a discrimination of assessors")


def read_health(path: str | Path) -> Health:
    """Return the health of a round's data; raise UserError naming the file when it holds something else."""
    return read(path, Health, "the health of a round")
