"""A loaded engine is kept for the next job: same results, one client at a time, and gone when nobody needs it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_llama
from conformance import CONTEXT, Conformance

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.data.locks import started
from isheep.errors import UserError
from isheep.serving import engines
from isheep.serving.engines.base import Engine, Prompt, Request, Sampling, ScoreRequest
from isheep.serving.keeper import client, place

SETTINGS = Settings(name="fake", context_length=CONTEXT)
REQUESTS = [Request(str(n), Prompt(f"Say {n}.", True), Sampling(1.0, 0.95, 20), n) for n in range(40)]


def wanted(log: Path, slot: str, key: str = "ab", **settings: Any) -> client.Wanted:
    return client.Wanted(
        settings=SETTINGS.model_copy(update=settings),
        model=Model(),
        folder=None,
        identity="a model",
        threads=1,
        gpus=0,
        key=key * 32,
        slots=(slot,),
        hold=(),
        seconds=60,
        driver=(os.getpid(), started(os.getpid())),
        log=log,
        environment=os.environ,
    )


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder for temporary files of the test's own, with a name as short as a socket wants it."""
    with tempfile.TemporaryDirectory(prefix="kept-", dir="/tmp") as name:
        monkeypatch.setattr(place, "tempfile", SimpleNamespace(gettempdir=lambda: name))  # not pytest's
        monkeypatch.setenv("TMPDIR", name)
        yield Path(name)


@pytest.fixture
def want(temporary, tmp_path) -> Iterator[Callable[..., client.Wanted]]:
    """Return what a job wants, at a slot of the test's own."""
    yield lambda key="ab", slot="here", **settings: wanted(tmp_path / "engine.log", slot, key, **settings)
    assert place.folder().parent == temporary
    for socket in place.folder().glob("*.sock"):
        place._end(socket)


def opened(asked: client.Wanted) -> client.KeptEngine:
    engine = client.open_kept(asked)
    assert engine is not None
    return engine


def sockets() -> list[str]:
    return sorted(file.name for file in place.folder().glob("*.sock"))


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def process_of(caplog: pytest.LogCaptureFixture) -> int:
    line = next(record.getMessage() for record in reversed(caplog.records) if "by process" in record.getMessage())
    return int(line.partition("by process ")[2].partition(",")[0])


class TestConformance(Conformance):
    """A kept engine is an engine."""

    @pytest.fixture(scope="class")
    def engine(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
        log = tmp_path_factory.mktemp("kept") / "engine.log"
        asked = replace(wanted(log, f"test-{os.getpid()}"), seconds=0)
        with opened(asked) as engine:
            yield engine


def test_the_next_job_finds_the_engine_loaded_and_gets_what_its_own_would_give(want, caplog):
    own = list(engines.load(SETTINGS, Model(), None, "a model", 1, 0).complete(REQUESTS))
    with caplog.at_level("INFO"):
        with opened(want()) as first:
            assert list(first.complete(REQUESTS)) == own
        pid = process_of(caplog)
        with opened(want()) as second:
            assert list(second.complete(iter(REQUESTS))) == own
            assert (
                second.embed("three little words").tolist()
                == engines.load(SETTINGS, Model(), None, "a model", 1, 0).embed("three little words").tolist()
            )
    assert process_of(caplog) == pid
    assert [("found" in record.getMessage()) for record in caplog.records if "by process" in record.getMessage()] == [
        False,
        True,
    ]
    assert second.peak_memory_mib > 5


def test_a_real_engine_gives_the_same_digits_from_a_keeper(want, tmp_path):
    folder = tiny_llama.save(tmp_path / "tiny", max_position_embeddings=2 * CONTEXT)
    own = engines.load(SETTINGS.model_copy(update={"name": "transformers"}), Model(), folder, "a model", 1, 0)
    scored = [ScoreRequest(str(n), Prompt(f"Say {n}.", True), (" yes", " no, never")) for n in range(4)]
    drawn = REQUESTS[:4]
    for _ in range(2):  # loaded for it, then found
        with opened(replace(want(name="transformers"), folder=folder)) as kept:
            assert list(kept.score(scored)) == list(own.score(scored))
            assert list(kept.complete(drawn)) == list(own.complete(drawn))
            assert kept.embed("rain").tolist() == own.embed("rain").tolist()
            assert kept.template.render([{"role": "user", "content": "a"}]).text
        assert kept.peak_memory_mib > 100


def test_an_engine_of_other_settings_leaves_first(want, caplog):
    with caplog.at_level("INFO"), opened(want("ab")):
        pid = process_of(caplog)
    with opened(want("cd")) as other:
        assert started(pid) == 0
        assert sockets() == ["here.cdcdcdcdcdcdcdcd.sock"]
        assert len(list(other.complete(REQUESTS))) == len(REQUESTS)


def test_while_a_job_is_served_another_gets_none_and_ends_nothing(want):
    with opened(want("ab")) as engine:
        assert client.open_kept(want("ab")) is None
        assert client.open_kept(want("cd")) is None
        assert len(list(engine.complete(REQUESTS))) == len(REQUESTS)


def test_jobs_at_other_places_do_not_meet(want):
    with opened(want(slot="gpu0")) as first, opened(want(slot="gpu1")) as second:
        assert list(first.complete(REQUESTS)) == list(second.complete(REQUESTS))
        assert len(sockets()) == 2


KILLED = """
import os, signal, sys
from test_keeper import opened, wanted, REQUESTS
from pathlib import Path
from isheep.serving.keeper import client
from dataclasses import replace
asked = replace(wanted(Path(sys.argv[1]), "here"), driver=tuple(map(int, sys.argv[2:4])))
engine = opened(asked)
results = engine.complete(REQUESTS)
next(results)
if sys.argv[4] == "drawing":
    engine.complete(os.kill(os.getpid(), signal.SIGKILL) for _ in range(9)).__next__()
os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_a_client(want: Callable[..., client.Wanted], driver: tuple[int, int], when: str) -> None:
    paths = [str(Path(client.__file__).parents[3]), str(Path(__file__).parent), str(Path(__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", KILLED, str(want().log), *map(str, driver), when]
    assert subprocess.run(command, env=environment, timeout=120).returncode == -signal.SIGKILL


@pytest.mark.parametrize("when", ["between two results", "drawing"])
def test_a_client_that_is_killed_leaves_a_keeper_that_serves_the_next(want, when, caplog):
    kill_a_client(want, (os.getpid(), started(os.getpid())), when)
    with caplog.at_level("INFO"), opened(want()) as engine:
        assert "found loaded" in caplog.text
        assert len(list(engine.complete(REQUESTS))) == len(REQUESTS)


def test_a_keeper_whose_driver_has_ended_ends_too(want):
    driver = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    kill_a_client(want, (driver.pid, started(driver.pid)), "between two results")
    assert len(sockets()) == 1
    driver.communicate(b"\n")
    until(lambda: sockets() == [])


@pytest.mark.parametrize("moment", ["between two results", "before the first"])
def test_a_keeper_that_is_killed_is_told_in_a_line_and_replaced(want, moment, caplog):
    with caplog.at_level("INFO"), opened(want()) as engine:
        results = engine.complete(iter(REQUESTS))
        if moment == "between two results":
            next(results)
        os.kill(process_of(caplog), signal.SIGKILL)
        with pytest.raises(UserError, match=r"has ended .*what was finished is kept, type the same command to go on"):
            list(results)
    with opened(want()) as engine:
        assert len(list(engine.complete(REQUESTS))) == len(REQUESTS)


def test_an_engine_that_nobody_wants_any_more_leaves_by_itself(want):
    with opened(replace(want(), seconds=0.2)):
        assert len(sockets()) == 1
    until(lambda: list(place.folder().iterdir()) == [])


def test_an_engine_that_crashes_ends_its_keeper_and_the_next_job_starts_another(want):
    crashing = want(misbehave=SETTINGS.misbehave.model_copy(update={"crash_after": 3}))
    with opened(crashing) as engine, pytest.raises(UserError, match="has ended"):
        list(engine.complete(REQUESTS))
    with opened(want()) as engine:
        assert len(list(engine.complete(REQUESTS))) == len(REQUESTS)


def test_what_is_wrong_with_an_engine_is_told_word_for_word_and_kept_by_nobody(want, tmp_path):
    asked = replace(want(name="transformers"), folder=tmp_path / "nothing")
    with pytest.raises(UserError) as own:
        engines.load(asked.settings, asked.model, tmp_path / "nothing", "a model", 1, 3)
    with pytest.raises(UserError) as kept:
        client.open_kept(replace(asked, gpus=3))
    assert str(kept.value) == str(own.value)
    with place.turn(["here"]) as is_free:
        assert is_free
    until(lambda: list(place.folder().glob("*.lock")) == [])


def test_what_an_engine_logs_is_in_the_log_of_the_job(want, caplog, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with caplog.at_level("INFO"), opened(want()):
        lines = [record for record in caplog.records if record.getMessage().startswith("GPUs asked for: 0, seen: 0")]
        assert [(line.name, line.levelno) for line in lines] == [("isheep.serving.engines", logging.INFO)]


def test_a_folder_that_others_may_enter_is_refused_and_a_long_one_replaced(temporary, monkeypatch):
    (temporary / f"isheep-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(OSError, match="not a folder of this user's alone"):
        place.folder()
    monkeypatch.setattr(place, "tempfile", SimpleNamespace(gettempdir=lambda: f"/tmp/{'long' * 40}"))
    assert place.folder() == Path(f"/tmp/isheep-{os.getuid()}")
