"""Stage measure_data: everything that is measured of a round, in one document, and the alarms that ring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

from isheep.config.run import Run
from isheep.data.conversations import user_text
from isheep.data.rows import Row, read_rows
from isheep.data.seeds import read_seeds
from isheep.documents.rounds import Health, Quantity
from isheep.health import change
from isheep.health.alarms import ring
from isheep.health.diversity import FIELDS, as_vendi, diversity
from isheep.health.duplicates import duplicates
from isheep.health.lengths import lengths
from isheep.health.overlap import overlap
from isheep.health.readings import Readings
from isheep.health.sample import draw
from isheep.health.scores import scores


@dataclass(frozen=True)
class Files:
    """Where a round's data is.

    `earlier` are the selected rows of all earlier rounds, d_0 first; `evaluation` has the evaluation files by
    benchmark.
    """

    made: str
    evaluated: str
    selected: str
    earlier: Sequence[str]
    seeds: str
    evaluation: Mapping[str, str]


def measure(run: Run, round_number: int, files: Files, probed: Sequence[Readings]) -> Health:
    """Return health.json of a round; docs/health.md describes it.

    Parameters
    ----------
    run
        The run's settings; its section `health` says what is measured.
    round_number
        The round.
    files
        Its data, and that of the rounds before.
    probed
        What stage probe_data found: in this round and, after round 0, in round 0; nothing when it did not run.
    """
    health = run.health
    sample = draw(_rows(files.selected), health.sample)
    first = draw(_rows(files.earlier[0]), health.sample) if files.earlier else []
    document = cast(Health, {"round": round_number, "sample": health.sample})
    changed: dict[str, Quantity] = {}
    if "lengths" in health.measures:
        document["lengths"] = lengths(_rows(files.selected))
        document["generated"] = lengths(_rows(files.made))
        if first:
            now, before = document["lengths"], lengths(_rows(files.earlier[0]))
            words, first_words = now["output"]["words"], before["output"]["words"]
            changed |= change.of_words(words["p50"], first_words["p50"], words["n"])
    if "diversity" in health.measures:
        document["diversity"] = diversity(sample, health.self_bleu)
        if first:
            changed |= change.of_diversity(sample, first)
    if "duplicates" in health.measures:
        document["duplicates"] = duplicates(
            lambda: _rows(files.selected),
            lambda: chain.from_iterable(map(_rows, files.earlier)),
            lambda: seeds(files.seeds),
            {row["id"] for row in sample},
            health.similarity,
            run.prompts.tokens,
        )
    if "scores" in health.measures:
        scales = {assessor.name: assessor.scale for assessor in run.assess.assessors}
        document["scores"] = scores(_rows(files.evaluated), scales)
    if "overlap" in health.measures:
        document["overlap"] = overlap(_rows(files.selected), files.evaluation, health.ngrams)
    if probed:
        document["perplexity"] = probed[0].metrics()
        for field in FIELDS:
            varied = document.setdefault("diversity", {}).setdefault(field, {})
            varied["vendi"] = as_vendi(probed[0].vectors[field])
        if len(probed) > 1:
            changed |= change.of_readings(probed[0], probed[1])
    document["change"] = changed
    return cast(Health, {**document, **ring(document, health.alarms)})


def _rows(file: str) -> Iterator[Row]:
    """Yield rows with all that the user says for their instruction, by which prompts are likened, too."""
    for row in read_rows(file):
        yield {**row, "instruction": user_text(row)}


def seeds(path: str) -> Iterator[Row]:
    """Yield the seed tasks as rows with instruction and output."""
    for seed in read_seeds(path):
        yield {"instruction": seed.instruction, "output": seed.output}
