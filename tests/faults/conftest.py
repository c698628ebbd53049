"""Folders for faults: empty ones, and copies of a run that is finished."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

import harness
from harness import KILLS, SURVIVED, FaultPlace, small


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many kills were survived, who was killed, and what it cost."""
    kills = [kill for drawn, _ in SURVIVED for kill in drawn]
    if not kills:
        return
    of = {
        name: ", ".join(f"{count} {value}" for value, count in Counter(getattr(kill, name) for kill in kills).items())
        for name in ("whom", "moment", "stage")
    }
    again = sum(count for _, count in SURVIVED)
    terminalreporter.write_line(f"{len(kills)} of {KILLS} kills survived; requests answered twice: {again}")
    terminalreporter.write_line(f"killed: {of['whom']}; at: {of['moment']}; in: {of['stage']}")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> FaultPlace:
    """One short round, finished without a fault."""
    return harness.finished(tmp_path_factory.mktemp("undisturbed"), small())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[FaultPlace]:
    """An empty folder to run in."""
    folder = tmp_path / "here"
    folder.mkdir()
    made = FaultPlace(folder)
    made.configure({"a": small()})
    yield made
    made.end_processes()


@pytest.fixture
def finished(tmp_path: Path, undisturbed: FaultPlace) -> Iterator[FaultPlace]:
    """A copy of the finished round, its times kept."""
    made = FaultPlace.__new__(FaultPlace)
    made.folder = tmp_path / "copy"
    made.faults = made.folder / ".faults"
    shutil.copytree(undisturbed.folder, made.folder, symlinks=True)
    yield made
    made.end_processes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Mount a disk of a few KiB over a folder, or mount it again with another size or read-only."""
    mounted: list[Path] = []

    def mount(folder: Path, options: str) -> None:
        again = ["remount", options] if folder in mounted else [options]
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", ",".join(again), "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"only root can mount a small disk ({done.stderr.strip()})")
        if folder not in mounted:
            mounted.append(folder)

    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
