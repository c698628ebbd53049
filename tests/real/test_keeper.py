"""An engine with real weights in a keeper gives the digits that it gives in the job, whatever it was asked before."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from conformance import AHEAD, CONTEXT, complete, sampled, score, scorings
from workplace import GPUS

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.data.files import digest
from isheep.data.locks import started
from isheep.serving import engines
from isheep.serving.engines.base import Completion, Score
from isheep.serving.keeper import client


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["transformers", "vllm"])
def test_two_jobs_in_turn_get_what_a_job_with_an_engine_of_its_own_gets(name, smollm2, tmp_path):
    few = {"context_length": CONTEXT, "max_num_seqs": AHEAD, "cpu_cache_gib": 0.25, "gpu_memory_utilization": 0.2}
    settings = Settings(name=name, **few)
    wanted = client.Wanted(
        settings=settings,
        model=Model(),
        folder=smollm2,
        identity="",
        threads=1,
        gpus=GPUS,
        key=digest(name),
        slots=(f"test-real-{os.getpid()}",),
        hold=(),
        seconds=60,
        driver=(os.getpid(), started(os.getpid())),
        log=tmp_path / "engine.log",
        environment=os.environ,
    )
    results = []
    for _ in range(2):
        engine = client.open_kept(wanted)
        assert engine is not None
        with engine:
            results.append((complete(engine, sampled(engine)), score(engine, scorings(engine))))
        assert engine.peak_memory_mib > 500
    # In a process of its own, as a job is.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert results == [pool.submit(alone, settings, smollm2).result()] * 2


def alone(settings: Settings, folder: Path) -> tuple[dict[str, Completion], dict[str, Score]]:
    """Return what an engine gives that is loaded for one job."""
    with engines.load(settings, Model(), folder, "", threads=1, gpus=GPUS) as own:
        return complete(own, sampled(own)), score(own, scorings(own))
