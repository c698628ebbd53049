"""What people do between two starts, played on copies of a finished run: which jobs run then, what is asked anew."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from starts import Scenario, settings


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """Run a, finished; nobody changes anything in it."""
    place = Scenario(tmp_path_factory.mktemp("finished"))
    place.configure({"a": settings()})
    place.start()
    return place


@pytest.fixture
def place(finished: Scenario, tmp_path: Path) -> Scenario:
    """A copy of the finished run, its times kept."""
    copy = Scenario.__new__(Scenario)
    copy.folder = tmp_path / "here"
    shutil.copytree(finished.folder, copy.folder, symlinks=True)
    return copy


@pytest.fixture
def empty(tmp_path: Path) -> Callable[[], Scenario]:
    """Make an empty folder to work in."""

    def make() -> Scenario:
        folder = tmp_path / "empty"
        folder.mkdir()
        return Scenario(folder)

    return make
