"""Stage measure_data: what the round's data is like, and which alarms ring."""

from __future__ import annotations

import logging

from isheep.config.run import Run
from isheep.health import alarms, readings
from isheep.health.stage import Files, measure
from isheep.runner.job import Job
from isheep.runner.stage import Made
from isheep.stages.base import Read, Reads, Round, Stage

logger = logging.getLogger(__name__)


def _reads(at: Round) -> Reads:
    probes = sorted({at.i, 0}, reverse=True) if "probe" in at.run.health.measures else []
    return {
        "made": Read("generate_outputs", at.i),
        "evaluated": at.rows_before("select_data"),
        "selected": at.data(at.i),
        "earlier": [at.data(i) for i in range(at.i)],
        "probes": [Read("probe_data", i) for i in probes],
        "embeddings": [Read("probe_data", i, "probe.safetensors") for i in probes],
    }


def benchmark_files(run: Run) -> dict[str, str]:
    """Return the data files of a run's benchmarks by name: what its data must not hold."""
    return {name: str(benchmark.path) for name, benchmark in run.evaluation.on.items()}


STAGE = Stage(
    "measure_data",
    about="measures what d_i is like and rings alarms",
    place=70,
    folder="d_{i}",
    makes=("health.json",),
    settings=("assess.assessors", "health", "prompts.tokens"),
    derives=lambda run: {"evaluation": benchmark_files(run)},
    reads=_reads,
    files=lambda run: [run.seeds.path, *benchmark_files(run).values()],
    present=lambda run: bool(run.health.measures),
    does="measure data",
)


def make(this: Job) -> Made:
    """Return the health of the round's data."""
    given = this.input
    files = Files(
        given.made, given.evaluated, given.selected, given.earlier, this.run.seeds.path, benchmark_files(this.run)
    )
    probed = [readings.read(*pair) for pair in zip(given.probes, given.embeddings, strict=True)]
    health = measure(this.run, this.round, files, probed)
    for line in alarms.lines(health):
        logger.warning("%s d_%d: %s", this.wildcards.run, this.round, line)
    return {"health": health}
