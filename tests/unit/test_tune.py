"""Sweeping engine settings: what is tried, what is kept, what is written."""

from __future__ import annotations

import shutil

import pytest
import yaml
from workplace import REPOSITORY

from isheep import tune
from isheep.config import load
from isheep.config.engine import Engine
from isheep.errors import UserError

FAST = Engine(repeatable=False, dtype="bfloat16", max_num_seqs=512, max_batched_tokens=8192)


def speed(engine: Engine) -> float:
    """An engine that likes few requests and, once it has few, many tokens a step; 1,024 do not fit its memory."""
    if engine.max_num_seqs == 1024:
        raise UserError("no memory\nfor that")
    return 100 - engine.max_num_seqs / 10 + (engine.max_num_seqs == 256) * engine.max_batched_tokens / 1000


def test_each_key_keeps_its_best_value_for_those_after_it(capsys):
    values = {"max_num_seqs": (256, 1024), "max_batched_tokens": (4096, 16384)}
    tries = list(tune.sweep(FAST, values, speed, lambda: False))
    assert [changes for changes, _ in tries] == [
        {},
        {"max_num_seqs": 256},
        {"max_num_seqs": 256, "max_batched_tokens": 4096},
        {"max_num_seqs": 256, "max_batched_tokens": 16384},
    ]
    assert max(tries, key=lambda each: each[1]) == (tries[-1][0], pytest.approx(100 - 25.6 + 16.384))
    assert "max_num_seqs 1024: no memory\n" in capsys.readouterr().err


def test_no_other_value_is_tried_when_the_time_is_over():
    assert len(list(tune.sweep(FAST, {"max_num_seqs": (256, 128)}, speed, lambda: True))) == 1


def test_a_repeatable_engine_is_tuned_in_what_decides_no_byte():
    for gpus in (0, 4):
        assert set(tune.candidates(Engine(), gpus)) <= Engine.operational
    assert tune.candidates(FAST, 4)["tensor_parallel"] == (1, 2)
    assert tune.candidates(FAST, 1)["speculative_tokens"] == (4,)
    assert 16 not in tune.candidates(Engine(max_num_seqs=16), 0)["max_num_seqs"]


def test_a_preset_that_was_written_can_be_named_by_a_run_and_written_again(tmp_path):
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    file = tmp_path / "config" / "models" / "demo-tuned.yaml"
    below = yaml.safe_load((REPOSITORY / "config/models/smollm2-135m-instruct.yaml").read_text())
    for number in (32, 48):
        tune.write_preset(file, below, {"max_num_seqs": number}, ["measured"])
    run = load({"runs": {"a": {"preset": "demo-tuned"}}}, tmp_path).runs["a"]
    assert (run.engine.max_num_seqs, run.engine.context_length) == (48, below["engine"]["context_length"])
    with pytest.raises(UserError, match=r"own-model\.yaml: is there and was not written by isheep\.tune"):
        tune.write_preset(tmp_path / "config" / "models" / "own-model.yaml", below, {}, [])


def test_prompts_are_the_runs_own_else_its_seeds(tmp_path, monkeypatch):
    run = load({"runs": {"a": {"preset": "smollm2-135m-instruct"}}}, REPOSITORY).runs["a"]
    monkeypatch.chdir(REPOSITORY)
    assert all(row["instruction"] for row in tune.prompts_of("no-such-run", run))
    monkeypatch.chdir(tmp_path)
    for i in (2, 10):
        (tmp_path / f"results/a/d_{i}").mkdir(parents=True)
        (tmp_path / f"results/a/d_{i}/prompts.jsonl").write_text(f'{{"id":"{i}","instruction":"Do {i}.","input":""}}\n')
    assert [row["id"] for row in tune.prompts_of("a", run)] == ["10"]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("b", {}, "b: no such run; there is a"),
        ("a", {"preset": "fake"}, r"a: engine\.name is fake; only vllm"),
        ("a", {"model": {"path": "none-here"}}, "none-here: no model there"),
    ],
)
def test_what_cannot_be_tuned_is_told(name, changes, message):
    raw = {"runs": {"a": {"preset": "smollm2-135m-instruct", **changes}}}
    if "model" in changes:
        raw["runs"]["a"] = {"model": changes["model"]}
    with pytest.raises(UserError, match=message):
        tune.tune(name, raw, "x", 1, 1, 1)
