"""Comparison of two runs and of their files: identical, close, or different and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from two_stages import Run

from isheep.data.files import write_json
from isheep.data.rows import write_rows
from isheep.proof import compare, manifest
from isheep.proof.numbers import distance
from isheep.proof.results import Results


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "one")


def compared(one: Run, other: Run) -> dict[str, compare.Compared]:
    old, new = Results(one.results), Results(other.results)
    return {found.artifact: found for found in compare.compare(old.manifest, new.manifest, old, new, 1e-5)}


def test_equal_runs_are_identical(run, tmp_path):
    found = compared(run, Run(tmp_path / "two"))
    assert {one.verdict for one in found.values()} == {"identical"}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"seed": 1}, "other seed (0, now 1)"),
        ({"version": "2"}, "other library version (torch 1, now 2)"),
        ({"cpu": "another CPU"}, "other hardware (cpu a CPU, now another CPU)"),
        ({}, "none is recorded"),
    ],
)
def test_what_differs_is_told_with_its_cause(run, tmp_path, change, cause):
    found = compared(run, Run(tmp_path / "two", text="another task", **change))
    prompts = found["d_0/prompts.jsonl"]
    assert prompts.verdict == "different" and prompts.where == "line 1 instruction"
    assert prompts.causes[0].startswith(cause)
    assert found["iter_0/identity.json"].verdict == "identical"
    assert compare.outcome(list(found.values())) == "different"


def test_numbers_within_the_tolerance_are_close_and_the_largest_difference_is_told(run, tmp_path):
    other = Run(tmp_path / "two", version="2")
    for one, value in ((run, 1.0), (other, 1.000001)):
        write_rows(one.results / "d_0/prompts.jsonl", [{"id": "p0", "score": value}])
        one.record("d_0", "generate_prompts", ["iter_0/identity.json"], ["d_0/prompts.jsonl"])
        one.gather()
    found = compared(run, other)["d_0/prompts.jsonl"]
    assert (found.verdict, found.largest) == ("close", pytest.approx(1e-6, rel=1e-3))
    assert found.line("a") == (
        "a: close: d_0/prompts.jsonl: numbers differ by at most 1e-06 (line 1 score); "
        "cause: other library version (torch 1, now 2)"
    )


def test_other_code_is_told_by_the_files_behind_the_stage(run, tmp_path, monkeypatch):
    other = Run(tmp_path / "two", text="another task")
    reads = ["iter_0/identity.json"]
    other.record("d_0", "generate_prompts", reads, ["d_0/prompts.jsonl"], code="1" * 64)
    files = manifest.code_files(".")
    changed = dict.fromkeys(("isheep/data/dedup.py", "isheep/proof/push.py"), "0" * 64)
    monkeypatch.setattr(manifest, "code_files", lambda path: files | changed)
    other.gather()
    assert compared(run, other)["d_0/prompts.jsonl"].causes == ("other code (isheep/data/dedup.py)",)


def test_without_the_originals_a_difference_is_still_told(run, tmp_path):
    old, new = Results(run.results), Results(Run(tmp_path / "two", text="another task").results)
    found = {one.artifact: one for one in compare.compare(old.manifest, new.manifest, None, new, 1e-5)}
    assert found["d_0/prompts.jsonl"].verdict == "different"
    assert "not at hand" in found["d_0/prompts.jsonl"].where


def save(path: Path, **tensors: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path


def test_tensors_are_as_far_apart_as_their_farthest_number(tmp_path):
    old = save(tmp_path / "old.safetensors", a=np.array([1.0, 2.0], np.float32), b=np.array([100.0], np.float32))
    new = save(tmp_path / "new.safetensors", a=np.array([1.0, 2.0], np.float32), b=np.array([100.5], np.float32))
    found = distance(old, new)
    assert found.where == "b" and found.largest == pytest.approx(0.5 / 100.5)


@pytest.mark.parametrize(
    "other",
    [
        {"a": np.array([1.0, np.nan], np.float32)},
        {"a": np.array([1.0, 2.0], np.float64)},
        {"a": np.array([[1.0, 2.0]], np.float32)},
        {"c": np.array([1.0, 2.0], np.float32)},
    ],
)
def test_other_tensors_are_infinitely_far_apart(tmp_path, other):
    old = save(tmp_path / "old.safetensors", a=np.array([1.0, 2.0], np.float32))
    assert distance(old, save(tmp_path / "new.safetensors", **other)).largest == float("inf")


@pytest.mark.parametrize(
    ("old", "new", "largest"),
    [
        ({"score": 1.0}, {"score": 1.00001}, 1e-5 / 1.00001),
        ({"text": "a"}, {"text": "b"}, float("inf")),
        ({"score": True}, {"score": 1.5}, float("inf")),
        ({"score": None}, {"score": 1.5}, float("inf")),
        ({"a": 1}, {"b": 1}, float("inf")),
        ({"sha256": "0" * 64}, {"sha256": "1" * 64}, 0.0),
        ({"path": "results/a/d_0"}, {"path": "results/b/d_0"}, 0.0),
        ([1, 2], [1, 2, 3], float("inf")),
    ],
)
def test_values_are_compared_as_numbers_where_both_are(tmp_path, old, new, largest):
    for name, value in (("old", old), ("new", new)):
        write_json(tmp_path / f"{name}.json", value)
        write_rows(tmp_path / f"{name}.jsonl", [{"id": "x", "value": value}])
    assert distance(tmp_path / "old.json", tmp_path / "new.json").largest == pytest.approx(largest)
    assert distance(tmp_path / "old.jsonl", tmp_path / "new.jsonl").largest == pytest.approx(largest)


def test_folders_are_compared_file_by_file(tmp_path):
    one = np.ones(3, np.float32)
    for name in ("old", "new"):
        save(tmp_path / name / "model.safetensors", a=one if name == "old" else one * (1 + 1e-6))
        (tmp_path / name / "config.json").write_text("{}")
    found = distance(tmp_path / "old", tmp_path / "new")
    assert 0 < found.largest < 1e-5 and found.where == "model.safetensors a"
    (tmp_path / "new/more.json").write_text("{}")
    assert distance(tmp_path / "old", tmp_path / "new").where == "only one of the two has more.json"
