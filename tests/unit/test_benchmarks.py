"""What the benchmarks calculate, and how they take turns: the parts that need no model and no GPU."""

from __future__ import annotations

import ast
import importlib
import json
import sys
from types import ModuleType

import pytest
from workplace import REPOSITORY

from isheep.config import load

sys.path.insert(0, str(REPOSITORY / "benchmarks"))


def benchmark(name: str) -> ModuleType:
    return importlib.import_module(name)


ECHO = """
import sys
sys.path.insert(0, sys.argv[1])
from alternate import serve
serve(lambda: (lambda: {"seconds": float(sys.argv[2]), "tokens": 12}))
"""


def test_workers_are_asked_in_turn_and_the_first_turn_does_not_count():
    alternate = benchmark("alternate")
    command = [sys.executable, "-c", ECHO, str(REPOSITORY / "benchmarks")]
    workers = {name: alternate.Worker([*command, name]) for name in ("2.0", "4.0")}
    told = alternate.in_turn(workers, repeats=2)
    for worker in workers.values():
        worker.end()
    assert [len(turns) for turns in told.values()] == [2, 2]
    assert alternate.median(told["2.0"]) == 2.0 and alternate.median(told["4.0"], "tokens") == 3.0


def test_a_worker_that_dies_is_told_of():
    alternate = benchmark("alternate")
    with pytest.raises(SystemExit, match="a worker ended with exit status 3"):
        alternate.Worker([sys.executable, "-c", "raise SystemExit(3)"]).wait()


def test_the_shape_of_a_model_is_that_of_its_config(tmp_path):
    gpu = benchmark("gpu")
    config = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "vocab_size": 49152}
    heads = {"num_attention_heads": 9, "num_key_value_heads": 3}
    (tmp_path / "config.json").write_text(json.dumps(config | heads))
    shape = gpu.shape_of(tmp_path)
    assert shape.parameters == pytest.approx(0.1345e9, rel=1e-3)  # SmolLM2-135M, embeddings shared
    assert shape.cached == 45 * 512  # 45 KiB in float32 (docs/models.md), half of it in bfloat16


def test_decoding_is_bound_by_memory_for_few_requests_and_by_products_for_many():
    gpu = benchmark("gpu")
    shape, limits = gpu.Shape(parameters=1e9, cached=1e5), gpu.Limits(bandwidth=2e12, operations=4e14)
    assert gpu.decoding_limit(shape, limits, 1, 0) == pytest.approx(1000)
    assert gpu.decoding_limit(shape, limits, 10**6, 0) == pytest.approx(2e5)
    assert gpu.decoding_limit(shape, limits, 64, 1000) < 64 * 1000
    assert gpu.training_limit(shape, limits) == pytest.approx(1e5)


def test_limits_are_measured():
    limits = benchmark("gpu").measure_limits("cpu", 64, 2)
    assert limits.bandwidth > 0 and limits.operations > 0


def test_ways_of_training_share_rows_and_steps():
    training = benchmark("training")
    rows = training.make_rows(32)
    words = [len(row["output"].split()) for row in rows]
    assert rows == training.make_rows(32) and min(words) < 8 and max(words) > 40
    ways = {way: training.settings_of(way, 32, 16) for way in training.WAYS}
    assert {settings.batch_size for settings in ways.values()} == {16}
    assert {way for way, settings in ways.items() if settings.packing} == {"ours, packed", "TRL, padding-free"}


def test_the_described_procedure_compares_every_pair():
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
    is_new, scorer = benchmark("original_procedure").is_new, rouge_scorer.RougeScorer(["rougeL"])
    pool = ["Write a poem about rain.", "Name three rivers."]
    assert is_new("Explain how bees find flowers.", pool, scorer)
    assert not is_new("Write a poem about the rain.", pool, scorer)


def test_both_procedures_ask_for_the_same_but_for_the_scores():
    import argparse

    original = benchmark("original_procedure")
    asked = argparse.Namespace(model=REPOSITORY / "models", rows=8, max_tokens=32, threads=1, scale=0.25)
    runs = {name: original.settings(asked, sampled=name == "theirs") for name in ("theirs", "own")}
    theirs, own = (load({"runs": {"a": runs[name]}}, REPOSITORY).runs["a"] for name in ("theirs", "own"))
    same = ("seed", "model", "engine", "prompts", "outputs", "resources")
    assert all(getattr(theirs, key) == getattr(own, key) for key in same)
    assert [judge.sampling.max_tokens for judge in theirs.assess.assessors] == [250, 250]
    assert [judge.method for judge in own.assess.assessors] == ["expected", "expected"]


def test_bounds_of_waiting_are_variables_of_the_runtime():
    variables = benchmark("waiting").variables
    assert variables("unset", 2) == {"OMP_WAIT_POLICY": None, "GOMP_SPINCOUNT": None, "OMP_NUM_THREADS": "2"}
    assert variables("passive", 2)["OMP_WAIT_POLICY"] == "passive"
    assert variables("1000", 1) == {"OMP_WAIT_POLICY": None, "GOMP_SPINCOUNT": "1000", "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("file", sorted(REPOSITORY.glob("benchmarks/*.py")), ids=lambda file: file.stem)
def test_what_a_benchmark_imports_of_the_package_is_there(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("isheep"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")
