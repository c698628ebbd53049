"""One loaded engine for the stages that follow each other: the same bytes, fewer starts, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import pytest
from workplace import FAKE, Workplace


def settings(keep: float, delay_ms: float = 0) -> dict:
    changed = deepcopy(FAKE) | {"rounds": 1}
    changed["engine"] = {"keep": keep, "misbehave": {"delay_ms": delay_ms}}
    changed["evaluation"] = {
        "benchmarks": {"heldout": {"limit": 2, "max_tokens": 16}, "constraints": {"limit": 2, "max_tokens": 16}}
    }
    return changed


def keepers(place: Workplace) -> list[int]:
    """Return the processes that keep an engine for a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_here = Path(os.readlink(process / "cwd")) == place.folder.resolve()
            if is_here and b"isheep.serving.keeper" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def lines(place: Workplace, text: str) -> int:
    return sum(log.read_text().count(text) for log in place.folder.glob("logs/a/**/*.log"))


def until(holds: Callable[[], object], running: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + 120
    while not holds() and (running is None or running.poll() is None):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answered(place: Workplace, stage: str) -> int:
    journals = place.folder.glob(f"results/a/d_0/.work/{stage}/*/*.jsonl")
    return sum(max(file.read_bytes().count(b"\n") - 1, 0) for file in journals)


@pytest.fixture(scope="module")
def apart(tmp_path_factory) -> Workplace:
    """A run each of whose stages loaded an engine of its own."""
    place = Workplace(tmp_path_factory.mktemp("apart"))
    place.configure({"a": settings(0)})
    place.snakemake()
    assert lines(place, "found loaded") == 0
    return place


def test_stages_of_the_same_weights_share_a_start_and_give_the_same_bytes(workplace, apart):
    place = workplace()
    place.configure({"a": settings(60)})
    place.snakemake()
    assert place.hashes() == apart.hashes()
    # The base: prompts, outputs, judging, evaluation, and the fake engine that embeds; then iter_1 is evaluated.
    assert lines(apart, "engine fake loaded") > lines(place, "engine fake loaded")
    assert lines(place, "found loaded") >= 3
    until(lambda: not keepers(place))
    done = place.snakemake("-n")
    assert "Nothing to be done" in done.stdout + done.stderr
    place.configure({"a": settings(0)})
    done = place.snakemake("-n")
    # The settings are written down and shown anew; nobody is asked or trained again.
    jobs = set(re.findall(r"^(\w+) +\d+$", done.stdout + done.stderr, re.MULTILINE)) - {"total"}
    assert jobs == {"all", "freeze_config", "gather_manifest", "write_report"}


@pytest.mark.parametrize("whom", ["keeper", "driver and jobs"])
def test_kill_minus_9_loses_nothing_and_leaves_no_process(workplace, apart, whom):
    place = workplace()
    place.configure({"a": settings(60, delay_ms=25)})
    running = subprocess.Popen(
        place.command(), cwd=place.folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until(lambda: answered(place, "generate_outputs") >= 3, running)
    (keeper,) = keepers(place)
    if whom == "keeper":
        os.kill(keeper, signal.SIGKILL)
        assert running.wait(120) == 1
        log = (place.folder / "logs/a/d_0/generate_outputs.log").read_text()
        assert "the process that keeps the engine has ended" in log and "Traceback" not in log
    else:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    until(lambda: not keepers(place))
    kept = answered(place, "generate_outputs")
    assert kept >= 3
    place.configure({"a": settings(60)})
    if whom != "keeper":
        place.snakemake("--unlock")
    done = place.snakemake()
    assert f"{kept} already done" in done.stderr
    assert place.hashes() == apart.hashes()
    until(lambda: not keepers(place))
