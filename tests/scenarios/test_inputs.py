"""What a user gives, replaced by something else: while a stage reads it, with an older time, or in its place."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from starts import Scenario, settings
from workplace import REPOSITORY

PROMPTS, IDENTITY = "results/a/d_0/prompts.jsonl", "results/a/iter_0/identity.json"
PATIENCE = 600


def seeds(place: Scenario, without: int) -> Path:
    """Write the shipped seeds, without the last few of them."""
    lines = (REPOSITORY / "config/seeds/isheep.jsonl").read_text().splitlines(keepends=True)
    (place.folder / "seeds.jsonl").write_text("".join(lines[: len(lines) - without]))
    return place.folder / "seeds.jsonl"


def test_seeds_edited_while_a_stage_reads_them_end_it_and_replaced_ones_are_seen_whatever_their_time(
    empty: Callable[[], Scenario],
) -> None:
    place = empty()
    file = seeds(place, 0)
    slow = settings(seeds={"path": "seeds.jsonl"}, engine={"misbehave": {"delay_ms": 1500}})
    place.configure({"a": slow})
    with subprocess.Popen(
        place.command(PROMPTS), cwd=place.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as driver:
        deadline = time.monotonic() + PATIENCE
        while not list(place.folder.glob("results/a/d_0/.work/generate_prompts/*/*.jsonl")) and driver.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        seeds(place, 1)
        said, _ = driver.communicate(timeout=PATIENCE)
    assert driver.returncode and "seeds.jsonl: changed while generate_prompts read it" in said, said
    assert not place.path("d_0/records/generate_prompts.json").exists()

    place.configure({"a": settings(seeds={"path": "seeds.jsonl"})})
    assert place.start(PROMPTS).jobs == {"generate_prompts": 1}
    file.touch()
    assert not place.start(PROMPTS).jobs, "the same bytes at another time"
    seeds(place, 2)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    assert place.start("-n", PROMPTS).jobs == {"generate_prompts": 1}


def test_weights_overwritten_in_place_are_seen_and_copied_ones_cost_nothing(empty: Callable[[], Scenario]) -> None:
    place = empty()
    base = place.folder / "base"
    base.mkdir()
    (base / "model.safetensors").write_bytes(b"the weights")
    place.configure({"a": settings(model={"path": "base"})})
    assert place.start(IDENTITY).jobs == {"identify_model": 1}
    before = place.path("iter_0/identity.json").read_bytes()
    shutil.copytree(base, place.folder / "copy")
    shutil.rmtree(base)
    (place.folder / "copy").rename(base)
    (base / "README.md").write_text("About the model.")
    again = place.start(IDENTITY)
    assert not again.jobs and "base: looks changed since identify_model hashed it" in again.said
    assert "looks changed" not in place.start(IDENTITY).said, "read again once"
    assert place.start(IDENTITY, "--forcerun", "identify_model").jobs == {"identify_model": 1}
    assert not place.start(IDENTITY).jobs, "forced once, though the weights lie elsewhere on the disk"
    times = (base / "model.safetensors").stat()
    with open(base / "model.safetensors", "r+b") as weights:
        weights.write(b"THE")
    os.utime(base / "model.safetensors", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert place.start(IDENTITY).jobs == {"identify_model": 1}
    assert place.path("iter_0/identity.json").read_bytes() != before
    assert not place.start(IDENTITY).jobs
