"""Runs of the real Snakefile in an empty folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from workplace import Workplace


@pytest.fixture
def workplace(tmp_path: Path) -> Callable[[str], Workplace]:
    """Make a named empty folder to run in."""

    def make(name: str = "here") -> Workplace:
        folder = tmp_path / name
        folder.mkdir()
        return Workplace(folder)

    return make
