"""What a run's engine is by default: fast where it has GPUs, repeatable elsewhere and wherever it is asked to be."""

from __future__ import annotations

import pytest
from workplace import REPOSITORY

from isheep.config import load
from isheep.config.engine import Engine
from isheep.errors import UserError
from isheep.serving.engines import vllm

GPU = {"resources": {"generate": {"gpus": 1}}}
FAST = {"repeatable": False, "dtype": "bfloat16", "max_num_seqs": 512, "chunked_prefill": True, "enforce_eager": False}
EXACT = {"repeatable": True, "dtype": "float32", "chunked_prefill": False, "enforce_eager": True}


def engine(**settings):
    return load({"runs": {"a": {"preset": "smollm2-135m-instruct", **settings}}}, REPOSITORY).runs["a"].engine


def has(settings, expected):
    return {key: getattr(settings, key) for key in expected} == expected


def test_a_run_on_gpus_is_fast_by_default():
    assert has(engine(**GPU), FAST | {"batch_invariant": False, "prefix_caching": True})
    assert has(engine(preset="qwen3-8b"), FAST)


def test_one_setting_makes_a_run_on_gpus_repeatable():
    for preset in ("smollm2-135m-instruct", "qwen3-8b"):
        exact = engine(preset=preset, engine={"repeatable": True}, **GPU)
        assert has(exact, EXACT | {"batch_invariant": True})


def test_a_run_on_the_cpu_is_repeatable_and_what_it_names_itself_holds():
    assert has(engine(), EXACT | {"batch_invariant": False, "max_num_seqs": 64})
    mixed = engine(engine={"dtype": "float32", "max_num_seqs": 7}, **GPU)
    assert has(mixed, {"repeatable": False, "dtype": "float32", "max_num_seqs": 7, "enforce_eager": False})
    assert has(engine(engine={"dtype": "bfloat16"}), {"repeatable": False, "max_num_seqs": 64, "enforce_eager": True})


def test_a_format_or_guesses_that_keep_no_bytes_are_refused_beside_repeatable():
    with pytest.raises(UserError, match=r"engine\.repeatable keeps equal bytes in float32 alone, engine\.dtype is bfl"):
        engine(engine={"repeatable": True, "dtype": "bfloat16"})
    with pytest.raises(UserError, match=r"engine\.speculative_tokens draws texts that engine\.repeatable excludes"):
        engine(engine={"repeatable": True, "speculative_tokens": 3}, **GPU)


def test_guesses_are_for_gpus():
    with pytest.raises(UserError, match=r"engine\.speculative_tokens: for GPUs"):
        vllm._check(Engine(speculative_tokens=3), gpus=0)
    vllm._check(Engine(speculative_tokens=3), gpus=1)
    assert vllm._guessing(Engine(speculative_tokens=3))["speculative_config"]["num_speculative_tokens"] == 3


def test_a_step_takes_the_longest_prompt_unless_prompts_come_in_chunks():
    assert vllm._batched_tokens(Engine(max_batched_tokens=512, context_length=2048)) == 2048
    assert vllm._batched_tokens(Engine(max_batched_tokens=512, context_length=2048, chunked_prefill=True)) == 512
    assert vllm._batched_tokens(Engine()) == 4096
