"""Where a job's engine comes from: who keeps one, for which Snakemake, and who needs its place."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.config.section import deciding
from isheep.data.locks import started
from isheep.runner import engine
from isheep.serving.engines.fake import FakeEngine
from isheep.serving.keeper import client, place

DRIVER = ["python", "-m", "snakemake", "--cores", "2"]
SENT = ["python", "-m", "snakemake", "--mode", "remote", "--cores", "2"]
SHELL = ["bash", "-c", "python .snakemake/scripts/x.py"]


@pytest.fixture
def job(tmp_path, monkeypatch) -> Iterator[Any]:
    """A job in a folder, with a place for keepers of its own."""
    with tempfile.TemporaryDirectory(prefix="kept-", dir="/tmp") as name:
        monkeypatch.setattr(place, "tempfile", SimpleNamespace(gettempdir=lambda: name))
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.chdir(tmp_path)
        yield SimpleNamespace(
            environment=dict(os.environ),
            home=str(tmp_path),
            log=str(tmp_path / "job.log"),
            model_folder=None,
            threads=1,
            gpus=0,
            engine_peak_mib=0.0,
        )
        with place.turn(engine._slots(SimpleNamespace(home=str(tmp_path), gpus=0))):
            place.clear(engine._slots(SimpleNamespace(home=str(tmp_path), gpus=0)))


def above(monkeypatch: pytest.MonkeyPatch, *lines: list[str]) -> None:
    monkeypatch.setattr(engine, "_ancestors", lambda: iter([(os.getpid() + n, words) for n, words in enumerate(lines)]))


@pytest.mark.parametrize(
    ("lines", "settings", "seconds"),
    [
        ([SHELL, DRIVER], {"name": "vllm"}, engine.AUTO),
        ([SHELL, SENT], {"name": "vllm"}, 0),
        ([SHELL, SENT], {"name": "vllm", "keep": 30}, 30),
        ([SHELL, DRIVER], {"name": "transformers", "keep": 0}, 0),
        ([SHELL, DRIVER], {"name": "fake"}, 0),
        ([SHELL, DRIVER], {"name": "fake", "keep": 5}, 5),
        ([SHELL, DRIVER], {"name": "endpoint", "keep": 5}, 0),
    ],
)
def test_an_engine_is_kept_where_snakemake_runs_the_jobs_or_where_that_is_asked(monkeypatch, lines, settings, seconds):
    above(monkeypatch, *lines)
    assert engine.keep_seconds(Settings(**settings)) == seconds


def test_a_keeper_ends_with_the_snakemake_nearest_above_its_job(monkeypatch):
    above(monkeypatch, DRIVER)
    assert engine._driver() == (os.getpid(), started(os.getpid()))
    above(monkeypatch, SHELL)
    assert engine._driver() == (os.getppid(), started(os.getppid()))


def test_processes_above_are_read_from_the_system():
    code = "from isheep.runner import engine; print([pid for pid, _ in engine._ancestors()][0])"
    paths = str(Path(engine.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, env={**os.environ, "PYTHONPATH": paths}
    )
    assert int(done.stdout) == os.getpid()


def test_whether_an_engine_is_kept_decides_nothing():
    assert deciding(Settings(keep=7)) == deciding(Settings(keep=0))


def test_a_job_opens_a_kept_engine_and_one_that_needs_its_place_ends_it(job, caplog):
    settings = Settings(name="fake", keep=60)
    with caplog.at_level("INFO"):
        for _ in range(2):
            with engine.engine_of(job, settings, Model(), "a model") as kept:
                assert isinstance(kept, client.KeptEngine)
                # Another job meanwhile: an engine of its own, and it ends nobody's.
                with engine.engine_of(job, settings, Model(), "a model") as own:
                    assert isinstance(own, FakeEngine)
                engine.make_room(job)
                assert kept.embed("a").shape == (64,)
        assert "fake found loaded" in caplog.text and job.engine_peak_mib > 5
        assert "has left" not in caplog.text
        engine.make_room(job)
    assert "the engine that was kept loaded has left" in caplog.text
    assert not list(place.folder().glob("*.sock"))
    assert (Path(job.home) / "job.engine.log").exists()


@pytest.mark.parametrize("change", [{"threads": 2}, {"home": "/elsewhere"}])
def test_an_engine_for_other_threads_or_another_folder_is_another(job, change, monkeypatch):
    settings, other = Settings(name="fake"), SimpleNamespace(**{**vars(job), **change})
    assert engine._key(job, settings, Model(), "a") == engine._key(job, Settings(name="fake", keep=9), Model(), "a")
    keys = {engine._key(each, settings, Model(), "a") for each in (job, other)}
    keys |= {engine._key(job, settings, Model(), "b"), engine._key(job, settings, Model(system="x"), "a")}
    monkeypatch.setenv("KMP_INIT_AT_FORK", "FALSE")  # by an import: vllm does so
    job.environment["GOMP_SPINCOUNT"] = "0"  # how threads wait decides no byte
    assert engine._key(job, settings, Model(), "a") in keys
    job.environment["OMP_SCHEDULE"] = "static"
    assert len(keys | {engine._key(job, settings, Model(), "a")}) == 5


def test_where_none_can_be_kept_the_job_loads_its_own(job, caplog):
    place.folder().chmod(0o755)
    with caplog.at_level("INFO"), engine.engine_of(job, Settings(name="fake", keep=60), Model(), "a") as own:
        assert isinstance(own, FakeEngine)
        engine.make_room(job)
    assert "no engine can be kept loaded on this machine" in caplog.text
    (Path(place.tempfile.gettempdir()) / f"isheep-{os.getuid()}").chmod(0o700)
