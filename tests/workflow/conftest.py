"""Runs of the real Snakefile in an empty folder."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from judge_endpoint import JudgeEndpoint
from proven import PERSON, make_run
from workplace import Workplace


@pytest.fixture
def workplace(tmp_path: Path) -> Callable[[str], Workplace]:
    """Make a named empty folder to run in."""

    def make(name: str = "here") -> Workplace:
        folder = tmp_path / name
        folder.mkdir()
        return Workplace(folder)

    return make


@pytest.fixture(scope="session")
def judge() -> Iterator[str]:
    """A judge's address, which tells whose it is."""
    with JudgeEndpoint(f"/{PERSON}") as endpoint:
        yield endpoint.url


@pytest.fixture(scope="session")
def proven(tmp_path_factory: pytest.TempPathFactory, judge: str) -> Workplace:
    """A finished run with all that proves it and is handed over; who damages it puts it back."""
    return make_run(tmp_path_factory.mktemp("home") / PERSON, judge)


@pytest.fixture(scope="session")
def reproduced(proven: Workplace, judge: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of that run made again by somebody who has the manifest alone, and is told where the judge is."""
    folder = tmp_path_factory.mktemp("elsewhere")
    alone = folder / "received.json"
    shutil.copy(proven.folder / "results/a/manifest.json", alone)
    (folder / "here").mkdir()
    place = Workplace(folder / "here")
    command = place.command("reproduce", "--config", f"manifest={alone}", f"judge={judge}")[:-2]  # no config file
    done = subprocess.run(command, cwd=place.folder, text=True, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a: identical:" in done.stdout
    return place.folder / "reproductions/a"
